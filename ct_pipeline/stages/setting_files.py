"""Files that settings name: read whole, and bounded."""

from pathlib import Path

from ct_pipeline.errors import SettingsError


def read_setting_file(variable: str, path: Path, most_bytes: int, advice: str) -> bytes:
    """What is in ``path``, which the setting ``variable`` names.

    Raises:
        SettingsError: it cannot be read, or is larger than ``most_bytes``; then the text ends with ``advice``.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(most_bytes + 1)
    except OSError as error:
        raise SettingsError(f"{variable}: {path} cannot be read: {error.strerror}.") from None
    if len(raw) > most_bytes:
        raise SettingsError(f"{variable}: {path} is larger than {most_bytes:,} bytes. {advice}")
    return raw
