"""The file that ``CT_EGRESS_FILE`` names: one ``[[egress]]`` row for each identity to probe from.

::

    [[egress]]
    name = "paris"
    helo_name = "verify-1.example.com"
    mail_from = "postmaster@example.com"
    other_mail_from = "<>"
    source_address = "203.0.113.7"        # or proxy = "socks5://user:password@192.0.2.1:1080"
    lanes = ["google", "small-0*"]        # without it, the row takes the lanes that no other row takes

Every fault is a :class:`~ct_pipeline.errors.SettingsError` that names the file, the row and the mend. Values of
``proxy`` are never repeated, since they hold passwords.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ct_pipeline.errors import SettingsError
from ct_pipeline.setting_values import read_helo_name, read_mail_from, read_proxy, read_source_address
from ct_pipeline.settings import Settings
from ct_pipeline.stages.setting_files import read_setting_file
from ct_pipeline.verification.egress import Egress, Envelope

LARGEST_FILE_BYTES = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_READERS: dict[str, Callable[[str], str]] = {
    "helo_name": read_helo_name,
    "mail_from": read_mail_from,
    "other_mail_from": read_mail_from,
    "source_address": read_source_address,
    "proxy": read_proxy,
}
_FIELDS = ("name", *_READERS, "lanes")


@dataclass(frozen=True, slots=True)
class EgressRow:
    """One egress and where it is set. ``lanes`` are patterns; None takes the lanes that no other row takes."""

    egress: Egress
    lanes: tuple[str, ...] | None
    place: str  # "egresses.toml, row 2 (paris)"; empty for the egress that the CT_ variables make

    def setting(self, name: str) -> str:
        """What to change, as a mend says it: ``CT_HELO_NAME``, or ``helo_name in egresses.toml, row 2 (paris)``."""
        return f"{name} in {self.place}" if self.place else f"CT_{name.upper()}"


def read_egress_file(path: Path, settings: Settings) -> list[EgressRow]:
    """The rows in their order. ``helo_name`` and ``mail_from`` that a row leaves out are those of ``settings``.

    Raises:
        SettingsError: the file cannot be read, or rows do not fit; all faults at once.
    """
    rows: list[EgressRow] = []
    faults: list[str] = []
    for number, table in enumerate(_tables(path), start=1):
        place = f"{path.name}, row {number}" + (f" ({table['name']})" if isinstance(table.get("name"), str) else "")
        values, found = _values(table)
        faults += [f"{place}: {fault}" for fault in found]
        if not found:
            rows.append(_row(values, place, settings))
    names = [row.egress.name for row in rows]
    faults += [
        f"{row.place}: another row is called {row.egress.name} too. Each egress has a name of its own."
        for number, row in enumerate(rows)
        if row.egress.name in names[:number]
    ]
    if faults:
        raise SettingsError("\n".join(faults))
    return rows


def _tables(path: Path) -> list[dict[str, Any]]:
    raw = read_setting_file("CT_EGRESS_FILE", path, LARGEST_FILE_BYTES, "It holds [[egress]] rows, and nothing else.")
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"CT_EGRESS_FILE: {path} is no TOML: {error}.") from None
    tables = document.pop("egress", None)
    if document:
        raise SettingsError(f"{path.name}: {', '.join(map(repr, document))}: only [[egress]] rows belong here.")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise SettingsError(f"{path.name}: no [[egress]] row. Write one for each egress, or unset CT_EGRESS_FILE.")
    return tables


def _values(table: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The values of one row, read, and what is wrong with it."""
    faults = [f"{name!r} is no field. Fields are {', '.join(_FIELDS)}." for name in table if name not in _FIELDS]
    values: dict[str, Any] = {}
    for name, read in _READERS.items():
        if (given := table.get(name)) is None:
            continue
        try:
            values[name] = read(given if isinstance(given, str) else _refuse_type())
        except ValueError as error:
            shown = "" if name == "proxy" else f" is {given!r};"
            faults.append(f"{name}{shown} {error}.")
    name = table.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        faults.append("name must be given: up to 64 letters, digits, dots, dashes and underscores.")
    lanes = table.get("lanes")
    if lanes is not None and (not isinstance(lanes, list) or not lanes or not all(isinstance(x, str) for x in lanes)):
        faults.append('lanes must be a list such as ["google", "small-*"]; leave it out to take the rest.')
    if "source_address" in values and "proxy" in values:
        faults.append("source_address and proxy exclude each other: remove one.")
    return values | {"name": name, "lanes": lanes}, faults


def _refuse_type() -> str:
    raise ValueError("must be text in quotes")


def _row(values: Mapping[str, Any], place: str, settings: Settings) -> EgressRow:
    proxy, lanes = values.get("proxy"), values["lanes"]
    egress = Egress(
        name=values["name"],
        envelope=Envelope(
            values.get("helo_name", settings.helo_name),
            values.get("mail_from", settings.mail_from),
        ),
        other_mail_from=values.get("other_mail_from"),
        source_address=values.get("source_address"),
        proxy=SecretStr(proxy) if proxy else None,
    )
    return EgressRow(egress, tuple(lanes) if lanes else None, place)
