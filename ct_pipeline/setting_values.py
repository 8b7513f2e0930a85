"""What the value of a setting may be: how it is read, and how a fault is put into words."""

import ipaddress
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

DEFAULT_DNS_PORT = 53


def split_nameserver(entry: str) -> tuple[str, int]:
    """``("192.0.2.1", 53)`` from ``192.0.2.1``, ``192.0.2.1:53``, ``2001:db8::1`` or ``[2001:db8::1]:53``.

    Raises:
        ValueError: not an address, or not a port.
    """
    host, port = entry, str(DEFAULT_DNS_PORT)
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif entry.count(":") == 1:
        host, port = entry.split(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{entry!r} is not ip or ip:port")
    try:
        return str(ipaddress.ip_address(host)), int(port)
    except ValueError:
        raise ValueError(f"{entry!r} is not ip or ip:port") from None


def default_state_dir() -> Path:
    """``.ct_pipeline`` in the current folder, or ``/var/lib/ct_pipeline`` when root works below a private folder.

    The embedded Postgres does not run as root; its own system user must be able to reach the state folder.
    """
    here = Path.cwd() / ".ct_pipeline"
    if os.name == "posix" and os.geteuid() == 0 and private_parent(here) is not None:
        return Path("/var/lib/ct_pipeline")
    return here


def private_parent(folder: Path) -> Path | None:
    """The first folder above ``folder`` that other users may not enter, or None."""
    for parent in reversed(folder.absolute().parents):
        if parent.exists() and not parent.stat().st_mode & stat.S_IXOTH:
            return parent
    return None


def allowed_values(name: str, field: FieldInfo) -> str:
    """What the setting ``name`` may be, in words: its range, and its unit where the name holds one."""
    if field.annotation is bool:
        return "true or false"
    if field.annotation not in (int, float):
        return ""
    bounds = {type(bound).__name__: getattr(bound, type(bound).__name__.lower()) for bound in field.metadata}
    least = f"{bounds['Ge']:,}" if "Ge" in bounds else f"more than {bounds['Gt']:,},"
    unit = next((f" {unit}" for unit in ("seconds", "days") if name.endswith(f"_{unit}")), "")
    kind = "a whole number, " if field.annotation is int and not unit else ""
    until = "up to" if "Gt" in bounds else "to"
    return f"{kind}{least} {until} {bounds['Le']:,}{unit}"


def describe_fault(fault: "ErrorDetails", fields: Mapping[str, FieldInfo]) -> str:
    """A value that does not fit: the variable, the fault, what would do, and what the setting means."""
    name = str(fault["loc"][0]) if fault["loc"] else ""
    message = fault["msg"].removeprefix("Value error, ")
    field = fields.get(name)
    if field is None:
        return f"CT_{name.upper()}: {message}."
    if words := allowed_values(name, field):
        message = f"must be {words}"
    message = message.replace("Input should be ", "must be ", 1)
    is_secret = "SecretStr" in str(field.annotation)
    given = "" if is_secret else f" is {fault['input']!r};"
    return f"CT_{name.upper()}{given or ':'} {message}. Meaning: {field.description}"
