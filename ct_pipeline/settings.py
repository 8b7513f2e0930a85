"""Every setting, read from the environment once: name, unit, default, range.

Names are the environment variables' (``CT_HELO_NAME`` is ``helo_name``). A wrong value raises
:class:`~ct_pipeline.errors.SettingsError`, which names the variable and the mend.
"""

import difflib
import ipaddress
import re
import socket
from collections.abc import Iterable
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ct_pipeline.errors import SettingsError
from ct_pipeline.setting_values import (
    default_state_dir,
    describe_fault,
    read_helo_name,
    read_mail_from,
    read_proxy,
    read_source_address,
    split_nameserver,
)
from ct_pipeline.vocabulary import ExportAction, ExportMode, GibberishThreshold, Reason, Region, VerifyMode

LIKELY_MISSPELT = 0.8  # similarity of two names, from 0 to 1


class Settings(BaseSettings):
    """All settings of one deployment. Build it with :func:`load_settings`."""

    model_config = SettingsConfigDict(env_prefix="CT_", env_ignore_empty=True, frozen=True, extra="ignore")

    state_dir: Path = Field(
        default_factory=default_state_dir,
        description="Folder of the lake, the embedded database, the inbox and Dagster's files.",
        json_schema_extra={
            "default": "`.ct_pipeline` in the current folder; `/var/lib/ct_pipeline` for root below a private folder"
        },
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="Postgres to use instead of the embedded server, as postgresql://user:password@host:port/name.",
    )
    nameservers: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="DNS resolvers to ask, as ip or ip:port, comma separated. Empty: those of the operating system.",
    )
    dns_concurrency: int = Field(default=150, ge=1, le=1000, description="DNS look-ups in flight.")
    dns_timeout_seconds: float = Field(default=5.0, gt=0, le=60, description="Longest wait for one DNS look-up.")
    smtp_port: int = Field(default=25, ge=1, le=65535, description="TCP port of the mail hosts; 25 but in labs.")
    allowed_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Networks to connect to although they are not globally routable, as CIDR, comma separated.",
    )
    helo_name: str = Field(
        default_factory=socket.getfqdn,
        description="Name we say in EHLO. It must resolve to our address, and our address back to it.",
        json_schema_extra={"default": "this machine's full name"},
    )
    helo_unchecked: bool = Field(
        default=False,
        description="Verify although CT_HELO_NAME does not resolve, or reverse DNS does not lead back to it.",
    )
    mail_from: str = Field(
        default="",
        description="Address in MAIL FROM; empty or <> is the null sender. Its domain must accept mail.",
    )
    other_mail_from: str | None = Field(
        default=None,
        description="Sender for hosts that refuse CT_MAIL_FROM: an address, or <> for the null sender.",
    )
    source_address: str | None = Field(
        default=None,
        description="IP address of this machine to connect from. Empty: the system chooses.",
        json_schema_extra={"values": "an IP address"},
    )
    proxy: SecretStr | None = Field(
        default=None,
        description="SOCKS5 proxy to connect through, as socks5://host:port or socks5://user:password@host:port.",
    )
    egress_file: Path | None = Field(
        default=None,
        description="TOML file with several egresses, each bound to lanes: see docs/guides/egresses.md.",
        json_schema_extra={"values": "a file"},
    )
    own_egresses: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Names of the egresses that this machine works. Empty: all.",
    )
    smtp_concurrency: int = Field(default=200, ge=1, le=5000, description="SMTP sessions open at once, in all.")
    site_connections: int = Field(
        default=5, ge=1, le=100, description="Most SMTP sessions open at once to one small site; it begins with 2."
    )
    session_addresses: int = Field(default=100, ge=1, le=1000, description="Addresses asked in one SMTP session.")
    site_connections_per_minute: int = Field(
        default=100,
        ge=1,
        le=6000,
        description="TCP connections begun in a minute to one small site, those in vain included.",
    )
    site_addresses_per_second: int = Field(
        default=100, ge=1, le=100_000, description="Addresses asked in a second at one small site."
    )
    pipelining_window: int = Field(
        default=20,
        ge=1,
        le=100,
        description="Most addresses sent in one breath to hosts that offer PIPELINING (RFC 2920); 1 switches it off.",
    )
    connect_timeout_seconds: float = Field(default=20.0, gt=0, le=300, description="Longest wait for a connection.")
    greeting_timeout_seconds: float = Field(
        default=120.0,
        gt=0,
        le=600,
        description="Longest wait for a host's greeting; some let newcomers wait a minute. RFC 5321 asks for 300.",
    )
    reply_timeout_seconds: float = Field(
        default=60.0, gt=0, le=600, description="Longest wait for the reply to one SMTP command."
    )
    probe_forbidden: bool = Field(
        default=False,
        description="Probe also the providers whose own rules forbid it (probing = forbidden in providers.toml).",
    )
    allow_list: Path | None = Field(
        default=None,
        description="Text file of addresses, domains, *.domains and .TLDs that are Valid without being asked.",
        json_schema_extra={"values": "a file"},
    )
    block_list: Path | None = Field(
        default=None,
        description="Text file of the same kind: what it lists is Invalid without being asked.",
        json_schema_extra={"values": "a file"},
    )
    gibberish: GibberishThreshold = Field(
        default=GibberishThreshold.MEDIUM,
        description="How readily a local part is flagged as gibberish: docs/reference/address_facts.md has the rates.",
        json_schema_extra={"values": "`off`, `medium` or `high`"},
    )
    fresh_for_days: int = Field(default=30, ge=1, le=3650, description="A final answer is not asked again within this.")

    verify_mode: VerifyMode = Field(
        default=VerifyMode.HIGHEST_ACCURACY,
        description="`fastest_turnaround` asks every address once; what that leaves open stays unknown.",
        json_schema_extra={"values": "`highest_accuracy` or `fastest_turnaround`"},
    )
    role_is_safe: bool = Field(
        default=False,
        description="`safe_to_send` is yes for a valid role address (info, sales) too; it is risky otherwise.",
    )

    project_id: str = Field(default="", description="CleverTap's Project ID (Settings → Project).")
    passcode: SecretStr | None = Field(
        default=None,
        description="Passcode of the project (Settings → Project).",
        json_schema_extra={"values": "text"},
    )
    region: Region | None = Field(
        default=None,
        description="Region of the project, or the address of its dashboard, from which the region is read.",
        json_schema_extra={"values": ", ".join(f"`{region}`" for region in Region) + ", or a dashboard's address"},
    )
    base_url: str = Field(
        default="",
        description="Address of the API instead of the region's, such as that of the sandbox.",
        json_schema_extra={"values": "a URL"},
    )
    timezone: str = Field(
        default="UTC",
        description="Time zone of the CleverTap project: its days begin at midnight there.",
        json_schema_extra={"values": "a name such as `Asia/Kolkata`"},
    )
    daily_event: str = Field(
        default="App Launched", description="Whoever raised this event on a day is pulled with that day."
    )
    first_day: date = Field(
        default=date(2026, 1, 1),
        description="First day that `raw_profiles` offers.",
        json_schema_extra={"default": "2026-01-01", "values": "a date"},
    )
    audience: Path | None = Field(
        default=None,
        description="JSON file with a query in CleverTap's query language: an audience named after the file.",
        json_schema_extra={"values": "a file"},
    )
    page_size: int = Field(
        default=4991, ge=1, le=5000, description="Profiles asked for in one page; CleverTap advises multiples of 23."
    )
    read_concurrency: int = Field(default=3, ge=1, le=3, description="Reading API calls in flight; CleverTap allows 3.")
    upload_concurrency: int = Field(
        default=3, ge=1, le=15, description="Writing API calls in flight; CleverTap allows 15."
    )
    http_timeout_seconds: float = Field(default=60.0, gt=0, le=600, description="Longest wait for one API answer.")
    export_mode: ExportMode = Field(
        default=ExportMode.PREVIEW,
        description="`preview`: pushes tell what they would send; `apply`: they send.",
        json_schema_extra={"values": "`preview` or `apply`"},
    )
    export_actions: Annotated[tuple[ExportAction, ...], NoDecode] = Field(
        default=tuple(ExportAction),
        description="What an export does: unsubscribe the undeliverable, append columns to profiles, or both.",
        json_schema_extra={"default": "unsubscribe,append", "values": "a list"},
    )
    unsubscribe_reasons: Annotated[tuple[Reason, ...], NoDecode] = Field(
        default=(),
        description="Reasons of an Invalid that unsubscribe. Empty: every one that means a hard bounce.",
        json_schema_extra={"values": "a list"},
    )
    append_columns: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("status", "safe_to_send", "reason", "verified_at"),
        description="Columns that are appended to profiles, of those in docs/reference/columns.md.",
        json_schema_extra={"default": "status,safe_to_send,reason,verified_at"},
    )
    property_prefix: str = Field(
        default="EV", description="First word of every appended property's name: `EV` makes `EV Safe To Send`."
    )
    unsubscribe_share_limit: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Brake: a larger share of a project's addresses, unsubscribed within a week, is held for approval.",
        json_schema_extra={"values": "a share, 0 to 1"},
    )
    provider_jump_limit: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Brake: unsubscribes at a provider whose invalid rate rose by more are held for approval.",
        json_schema_extra={"values": "a share, 0 to 1"},
    )
    read_back_seconds: float = Field(
        default=60.0, ge=0, le=600, description="Longest wait until a written property can be read back."
    )

    @field_validator(
        "nameservers",
        "allowed_networks",
        "own_egresses",
        "export_actions",
        "unsubscribe_reasons",
        "append_columns",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("nameservers")
    @classmethod
    def _check_nameservers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            split_nameserver(entry)
        return value

    @field_validator("allowed_networks")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            ipaddress.ip_network(entry, strict=False)
        return value

    @field_validator("helo_name")
    @classmethod
    def _read_helo_name(cls, value: str) -> str:
        return read_helo_name(value)

    @field_validator("mail_from", "other_mail_from")
    @classmethod
    def _read_mail_from(cls, value: str | None) -> str | None:
        return None if value is None else read_mail_from(value)

    @field_validator("source_address")
    @classmethod
    def _read_source_address(cls, value: str | None) -> str | None:
        return None if value is None else read_source_address(value)

    @field_validator("proxy")
    @classmethod
    def _read_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(read_proxy(value.get_secret_value()))

    @field_validator("project_id")
    @classmethod
    def _check_project(cls, value: str) -> str:
        value = value.strip()
        if value and not re.fullmatch(r"[A-Za-z0-9-]{3,64}", value):
            raise ValueError("must be a Project ID, such as ABC-123-4XYZ")
        return value

    @field_validator("region", mode="before")
    @classmethod
    def _read_region(cls, value: object) -> object:
        return Region.of(value) if isinstance(value, str) else value

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        value = value.strip().rstrip("/")
        if value and not re.fullmatch(r"https?://[^\s/?#@]+", value):
            raise ValueError("must be https://host or http://host:port, without a path")
        return value

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("must be a time zone of the IANA list, such as Europe/Berlin") from None
        return value

    @field_validator("state_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @cached_property
    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """``allowed_networks``, parsed."""
        return tuple(ipaddress.ip_network(entry, strict=False) for entry in self.allowed_networks)

    @cached_property
    def nameserver_endpoints(self) -> tuple[tuple[str, int], ...]:
        """``nameservers`` as (ip, port)."""
        return tuple(split_nameserver(entry) for entry in self.nameservers)

    @property
    def zone(self) -> ZoneInfo:
        """``timezone``, looked up."""
        return ZoneInfo(self.timezone)

    @property
    def lake_dir(self) -> Path:
        return self.state_dir / "lake"

    @property
    def inbox_dir(self) -> Path:
        """Contact files put here are found by the Dagster sensor."""
        return self.state_dir / "inbox"

    @property
    def audiences_dir(self) -> Path:
        """Queries put here as ``NAME.json`` are audiences, as ``audience`` is."""
        return self.state_dir / "audiences"

    @property
    def lists_dir(self) -> Path:
        """Where ``verified_list_files`` writes."""
        return self.state_dir / "verified_lists"

    @property
    def postgres_dir(self) -> Path:
        return self.state_dir / "postgres"

    @property
    def dagster_home(self) -> Path:
        return self.state_dir / "dagster"


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, with ``overrides`` by field name on top.

    Raises:
        SettingsError: a value does not fit; the text names each variable, the fault and what would do.
    """
    try:
        return Settings(**overrides)  # pyright: ignore[reportArgumentType]
    except ValidationError as error:
        faults = [describe_fault(fault, Settings.model_fields) for fault in error.errors()]
        raise SettingsError("\n".join(faults)) from None


def misspelt_variables(environment: Iterable[str]) -> dict[str, str]:
    """The names in ``environment`` that are no setting but close to one, each with that setting.

    >>> misspelt_variables(["CT_MAILFROM", "HOME"])
    {'CT_MAILFROM': 'CT_MAIL_FROM'}
    """
    known = [f"CT_{name.upper()}" for name in Settings.model_fields]
    candidates = sorted(name for name in environment if name.startswith("CT") and name not in known)
    likely = {name: difflib.get_close_matches(name.upper(), known, 1, LIKELY_MISSPELT) for name in candidates}
    return {name: matches[0] for name, matches in likely.items() if matches}
