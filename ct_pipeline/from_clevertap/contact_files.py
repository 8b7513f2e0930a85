"""Contact files come in: CSV, gzipped CSV or Parquet, with any column named like email; all other columns are kept."""

from collections.abc import Iterator
from pathlib import Path

from ct_pipeline.from_clevertap.contact_rows import ContactBatch, ContactFileShape, ContactFormat, SetAsideRow
from ct_pipeline.from_clevertap.csv_files import describe_csv, read_csv
from ct_pipeline.from_clevertap.parquet_files import describe_parquet, read_parquet
from ct_pipeline.from_clevertap.text_lines import file_format

__all__ = [
    "ContactBatch",
    "ContactFileShape",
    "ContactFormat",
    "SetAsideRow",
    "describe_contact_file",
    "read_contact_file",
]


def describe_contact_file(path: Path) -> ContactFileShape:
    """The file's format, encoding, delimiter and columns, and which of them holds the addresses.

    The email column is the one named like it (``Email``, ``E-Mail``, ``emailaddress``, ``correo``, ``courriel`` …), the
    best name first and the content deciding among equals; with no such name, the one whose first cells look most like
    addresses. A CSV file whose first line holds an address and no such name has no header: its columns are then called
    ``raw_email`` (if there is only one), or ``column_1``, ``column_2`` …

    Raises:
        ContactFileError: the file cannot be read, is empty or not a contact file, or none of its columns looks like
            email addresses. The text names the file and the mend.
    """
    found = file_format(path)
    return describe_parquet(path) if found is ContactFormat.PARQUET else describe_csv(path, found)


def read_contact_file(path: Path, shape: ContactFileShape | None = None) -> Iterator[ContactBatch]:
    """The file's rows in batches, in order, in memory that does not grow with the file.

    Rows that cannot be taken in are in ``set_aside`` of the batch they would have been in: in CSV too many or too few
    cells, a quote that never closes, text after a closing quote, a NUL, bytes that are not text; in both formats more
    than ``MAX_ROW_CHARACTERS``. A blank email cell is no fault: the row stays, with ``raw_email`` ``""``.

    Args:
        shape: what :func:`describe_contact_file` said; None describes the file first.

    Raises:
        ContactFileError: at the call as :func:`describe_contact_file`; while reading when the file becomes unreadable.
    """
    shape = shape or describe_contact_file(path)
    return read_parquet(path, shape) if shape.format is ContactFormat.PARQUET else read_csv(path, shape)
