"""What the value of a setting may be: how it is read, and how a fault is put into words."""

import ipaddress
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

DEFAULT_DNS_PORT = 53
NULL_SENDER = "<>"
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
LONGEST_CREDENTIAL_BYTES = 255  # RFC 1929: its length is one byte


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


def read_helo_name(text: str) -> str:
    """A name as EHLO takes it.

    Raises:
        ValueError: it would break the command.
    """
    return _command_text(text)


def read_mail_from(text: str) -> str:
    """An address for MAIL FROM; ``""`` for the null sender, which is written ``<>``.

    Raises:
        ValueError: neither of them.
    """
    if text.strip() == NULL_SENDER:
        return ""
    text = _command_text(text)
    local_part, _, domain = text.rpartition("@")
    if text and not (local_part and domain):
        raise ValueError("must be an email address, such as postmaster@example.com, or <> for the null sender")
    return text


def read_source_address(text: str) -> str:
    """An IP address to dial from.

    Raises:
        ValueError: no address, or one that stands for any or many machines.
    """
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        raise ValueError("must be an IP address of this machine, such as 203.0.113.7") from None
    if address.is_unspecified or address.is_multicast:
        raise ValueError("must be one address of this machine; leave it out to let the system choose")
    return str(address)


def read_proxy(url: str) -> str:
    """The address of a SOCKS5 proxy. The error never repeats it, since it may hold a password.

    Raises:
        ValueError: it is not socks5://host:port or socks5://user:password@host:port.
    """
    form = "must be socks5://host:port or socks5://user:password@host:port"
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError(form) from None
    is_host = ":" in (parts.hostname or "") or _HOST.fullmatch(parts.hostname or "")  # an IPv6 address, or a name
    if parts.scheme != "socks5" or not is_host or not port or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(form)
    if parts.username is None and parts.password is None:
        return url.strip()
    for credential in (unquote(parts.username or ""), unquote(parts.password or "")):
        if not credential.isascii() or not 0 < len(credential) <= LONGEST_CREDENTIAL_BYTES:
            raise ValueError(f"{form}; user and password have 1 to {LONGEST_CREDENTIAL_BYTES} ASCII characters each")
    return url.strip()


def _command_text(text: str) -> str:
    text = text.strip()
    if not text.isascii() or any(character <= " " or character in "<>\x7f" for character in text):
        raise ValueError("must be printable ASCII without spaces or angle brackets")
    return text


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


def split_list(value: object) -> object:
    """The parts of a comma-separated text; anything else as it is.

    >>> split_list("unsubscribe, append")
    ('unsubscribe', 'append')
    """
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value
