"""The profiles of an account in a file: a small one written by hand (JSON or CSV), or one that is kept (JSON)."""

import csv
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ct_pipeline.atomic_files import replacing
from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.clevertap.account import Account
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile, Raised

LIST_FIELDS = ("object_ids", "other_identities")
FLAGS = ("msg_email", "is_dnd", "is_made_by_upload")
TEXTS = ("identity", "email", "name", "phone", "mailbox")


def read_account_file(path: Path) -> list[AccountProfile]:
    """The profiles in ``path``, in its order.

    A ``.json`` file is an array of objects with the fields of :class:`AccountProfile`, all of them optional; ``events``
    maps names to arrays of moments (ISO 8601 or Unix seconds), or of ``{"at": …, "properties": {…}}``. Any other file
    is CSV: the columns ``identity``, ``email``, ``name``, ``phone``, ``object_ids`` and ``other_identities`` (space
    separated), ``msg_email`` and ``is_dnd`` (true or false); every other column is a property. Empty cells are left
    out.

    Raises:
        SettingsError: it cannot be read, or says something odd; names the file, the row and the fault.
    """
    try:
        rows = _json_rows(path) if path.suffix == ".json" else _csv_rows(path)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from None
    profiles = []
    for number, row in enumerate(rows, start=1):
        try:
            profiles.append(_profile(row if path.suffix == ".json" else _typed(row)))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise SettingsError(f"{path}, profile {number}: {error}") from None
    return profiles


def write_account_file(path: Path, account: Account) -> None:
    """Write all profiles as they are now, for :func:`read_account_file`; the file appears whole or not at all."""
    rows = [
        {
            "identity": profile.identity,
            "other_identities": profile.other_identities,
            "object_ids": profile.object_ids,
            "email": profile.email,
            "mailbox": profile.mailbox,
            "name": profile.name,
            "phone": profile.phone,
            "properties": profile.properties,
            "msg_email": profile.msg_email,
            "is_dnd": account.is_opted_out(profile.email),
            "is_made_by_upload": profile.is_made_by_upload,
            "events": {
                name: [{"at": raised.at, "properties": dict(raised.properties)} for raised in occurrences]
                for name, occurrences in profile.raised.items()
            },
        }
        for profile in account.profiles
    ]
    with replacing(path) as partial:
        partial.write_text(json.dumps(rows), encoding="utf-8")


def _json_rows(path: Path) -> list[Mapping[str, Any]]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(rows, list):
        raise ValueError("an array of profiles is expected")  # noqa: TRY004 as of what is no JSON
    return rows


def _csv_rows(path: Path) -> list[Mapping[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def _typed(row: Mapping[str, str]) -> Mapping[str, Any]:
    """A row of CSV with the types that JSON has."""
    fields: dict[str, Any] = {"properties": {}}
    for column, cell in row.items():
        if not cell:
            continue
        if column in LIST_FIELDS:
            fields[column] = cell.split()
        elif column in FLAGS:
            fields[column] = _truth(column, cell)
        elif column in TEXTS:
            fields[column] = cell
        else:
            fields["properties"][column] = cell
    return fields


def _profile(row: Mapping[str, Any]) -> AccountProfile:
    known = {*LIST_FIELDS, *FLAGS, *TEXTS, "properties", "events"}
    unknown = sorted(set(row) - known)
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no field of a profile; one of {', '.join(sorted(known))}")
    fields: dict[str, Any] = {name: tuple(value) if name in LIST_FIELDS else value for name, value in row.items()}
    for name in ("identity", "email", "name", "mailbox"):
        if not isinstance(row.get(name), str | None):
            raise ValueError(f"{name} is {row[name]!r}; text is expected")  # noqa: TRY004
    if isinstance(row.get("events"), Mapping):
        fields["events"] = {name: [_moment(moment) for moment in moments] for name, moments in row["events"].items()}
    return AccountProfile(**fields)


def _moment(moment: Any) -> Raised:
    if isinstance(moment, Mapping):
        return Raised(_moment(moment["at"]).at, moment.get("properties") or {})
    if isinstance(moment, str):
        at = datetime.fromisoformat(moment)
        return Raised(int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()))
    return Raised(int(moment))


def _truth(column: str, cell: str) -> bool:
    try:
        return {"true": True, "false": False}[cell.strip().lower()]
    except KeyError:
        raise ValueError(f"{column} is {cell!r}; true or false is expected") from None
