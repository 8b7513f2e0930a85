"""The files that ``CT_ALLOW_LIST`` and ``CT_BLOCK_LIST`` name."""

import io
from pathlib import Path

from ct_pipeline.addresses.operator_lists import ListFaultsError, OperatorLists, read_entries
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings
from ct_pipeline.stages.setting_files import read_setting_file

LARGEST_FILE_BYTES = 20_000_000


def load_operator_lists(settings: Settings) -> OperatorLists:
    """Both lists as they stand in their files; a list that is not set is empty.

    Raises:
        SettingsError: a file cannot be read, or lines of it are no entries; the text names file, line and mend.
    """
    return OperatorLists(
        allow=_entries("CT_ALLOW_LIST", settings.allow_list), block=_entries("CT_BLOCK_LIST", settings.block_list)
    )


def _entries(variable: str, path: Path | None) -> frozenset[str]:
    if path is None:
        return frozenset()
    raw = read_setting_file(variable, path, LARGEST_FILE_BYTES, "List whole domains.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SettingsError(f"{variable}: {path}, line {line}: no UTF-8. Save the file as UTF-8 text.") from None
    try:
        return read_entries(io.StringIO(text, newline=None), f"{variable}: {path}")
    except ListFaultsError as faults:
        raise SettingsError(str(faults)) from None
