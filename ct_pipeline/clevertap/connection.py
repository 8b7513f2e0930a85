"""What a connection to a CleverTap project needs: project, passcode, address. The passcode never leaves it in words."""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import SecretStr

from ct_pipeline.clevertap.regions import api_address
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings

_WHERE = "the dashboard shows it under Settings → Project"
_NO_PROJECT = f"CT_PROJECT_ID is not set; {_WHERE}."


@dataclass(frozen=True, slots=True)
class Connection:
    """A project, and how to reach it."""

    address: str  # scheme and host, without a slash at the end
    project_id: str
    passcode: SecretStr = field(repr=False)


def project_of(settings: Settings) -> str:
    """The project that ``settings`` name.

    Raises:
        SettingsError: none is set.
    """
    if not settings.project_id:
        raise SettingsError(_NO_PROJECT)
    return settings.project_id


def connection_of(settings: Settings) -> Connection:
    """The connection that ``settings`` describe.

    Raises:
        SettingsError: CT_PROJECT_ID, CT_PASSCODE or CT_REGION is missing, or the passcode would travel unencrypted.
    """
    passcode = settings.passcode.get_secret_value().strip() if settings.passcode else ""
    missing = [
        _NO_PROJECT if not settings.project_id else "",
        f"CT_PASSCODE is not set; {_WHERE}." if not passcode else "",
        "CT_REGION is not set; it is the first part of the dashboard's address, such as eu1."
        if settings.region is None and not settings.base_url
        else "",
    ]
    if any(missing):
        raise SettingsError("\n".join(filter(None, missing)))
    if not re.fullmatch(r"[\x21-\x7e]{1,200}", passcode):
        raise SettingsError(
            f"CT_PASSCODE holds characters that no passcode has (spaces, or outside of ASCII); copy it again: {_WHERE}."
        )
    address = api_address(settings.region, settings.base_url)
    if not _keeps_secrets(address):
        raise SettingsError(
            f"CT_BASE_URL is {address!r}, where the passcode would travel unencrypted; use https://. "
            "Plain http:// is taken only to this machine, or to a host name without dots, such as a container's."
        )
    return Connection(address, settings.project_id, SecretStr(passcode))


def _keeps_secrets(address: str) -> bool:
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme == "https":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." not in host
