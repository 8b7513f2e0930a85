"""Text out of a file of unknown encoding, gzipped or not; bytes that do not fit are marked, never lost silently."""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ct_pipeline.errors import ContactFileError
from ct_pipeline.from_clevertap.contact_rows import ContactFormat

MARKED_BYTE = re.compile("[\udc00-\udcff]")
"""An undecodable byte ``b`` is read as the lone surrogate U+DC00+b, which no valid text holds (as PEP 383 does)."""

_MARK = "ct_pipeline.mark_byte"
_CHUNK_BYTES = 1 << 20
_SAMPLE_BYTES = 4096

_BYTE_ORDER_MARKS = (  # longest first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FOREIGN = (
    (b"PK\x03\x04", "is a zip archive or an Excel workbook; save the sheet as 'CSV UTF-8', or unpack it"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook; save the sheet as 'CSV UTF-8'"),
    (b"%PDF", "is a PDF; export the contacts as CSV"),
    (b"BZh", "is compressed with bzip2; unpack it first, or use gzip"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd; unpack it first, or use gzip"),
    (b"\xfd7zXZ", "is compressed with xz; unpack it first, or use gzip"),
    (b"7z\xbc\xaf", "is a 7-Zip archive; unpack it first"),
    (b"SQLite format 3", "is an SQLite database; export the table as CSV"),
)


def file_format(path: Path) -> ContactFormat:
    """CSV, gzipped CSV or Parquet, told by the first bytes and not by the name.

    Raises:
        ContactFileError: the file is missing, empty or something else; the text says what to do.
    """
    with file_faults(path), path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
        if start.startswith(b"\x1f\x8b"):
            found = ContactFormat.CSV_GZ
            with _open_bytes(path, found) as unpacked:
                start = unpacked.read(_SAMPLE_BYTES)
        else:
            found = ContactFormat.PARQUET if start.startswith(b"PAR1") else ContactFormat.CSV
    if not start.strip(b"\r\n\t \x00" + codecs.BOM_UTF8):
        raise ContactFileError(f"{path} is empty. Give a file with a header line and one contact a line.")
    if found is ContactFormat.CSV_GZ and (start.startswith(b"PAR1") or start[257:262] == b"ustar"):
        raise ContactFileError(f"{path} is a gzipped archive or Parquet file; unpack it first.")
    for magic, mend in _FOREIGN:
        if start.startswith(magic):
            raise ContactFileError(f"{path} {mend}.")
    return found


def find_encoding(path: Path, file_format: ContactFormat) -> str:
    """The Python codec to read the file with: a byte order mark decides, else UTF-8 where it fits, else cp1252.

    The whole file is looked at, since the first accent may stand anywhere. With more valid UTF-8 sequences than faults
    it is UTF-8 with damaged rows.

    Raises:
        ContactFileError: the file is not text, or a gzip file is damaged.
    """
    with file_faults(path), _open_bytes(path, file_format) as file:
        start = file.read(_SAMPLE_BYTES)
        for mark, encoding in _BYTE_ORDER_MARKS:
            if start.startswith(mark):
                _read_through(file)
                return encoding
        if wide := _unmarked_utf16(start):
            _read_through(file)
            return wide
        if start.count(0) > 0.2 * len(start):
            raise ContactFileError(f"{path} is not text. Give CSV, gzipped CSV or Parquet.")
        valid, invalid = _count_utf8(start, file)
    return "utf-8" if valid >= invalid else "cp1252"


@contextmanager
def open_text(path: Path, file_format: ContactFormat, encoding: str) -> Iterator[io.TextIOWrapper]:
    """The file as text with its line ends kept, undecodable bytes marked as :data:`MARKED_BYTE`."""
    with (
        file_faults(path),
        _open_bytes(path, file_format) as file,
        io.TextIOWrapper(file, encoding=encoding, errors=_MARK, newline="") as text,
    ):
        yield text


@contextmanager
def file_faults(path: Path) -> Iterator[None]:
    """Turns what the operating system and gzip say into :class:`ContactFileError`."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ContactFileError(f"{path} is a damaged gzip file ({error}). Copy or export it again.") from error
    except OSError as error:
        raise ContactFileError(f"{path} cannot be read: {error.strerror or error}.") from error


def _open_bytes(path: Path, file_format: ContactFormat) -> BinaryIO:
    if file_format is ContactFormat.CSV_GZ:
        return gzip.open(path, "rb")  # pyright: ignore[reportReturnType]  # a GzipFile is one in all that matters
    return path.open("rb")


def _read_through(file: BinaryIO) -> None:
    """To the end: so a gzip file cut short is refused before its first row is taken in."""
    while file.read(_CHUNK_BYTES):
        pass


def _unmarked_utf16(start: bytes) -> str | None:
    """ASCII text in UTF-16 has a NUL in every second byte."""
    pairs = max(len(start) // 2, 1)
    low, high = start[0::2].count(0) / pairs, start[1::2].count(0) / pairs
    if high > 0.4 and low < 0.1:
        return "utf-16-le"
    if low > 0.4 and high < 0.1:
        return "utf-16-be"
    return None


def _count_utf8(start: bytes, file: BinaryIO) -> tuple[int, int]:
    """Counts of valid characters beyond ASCII, and of bytes that are not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    valid = invalid = 0
    chunk = start
    while chunk:
        following = file.read(_CHUNK_BYTES)
        text = decoder.decode(chunk, final=not following)
        if not text.isascii():
            faults = len(MARKED_BYTE.findall(text))
            valid += len(text) - len(text.encode("ascii", "ignore")) - faults
            invalid += faults
        chunk = following
    return valid, invalid


def _mark_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_MARK, _mark_bytes)
