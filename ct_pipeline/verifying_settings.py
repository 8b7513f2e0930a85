"""The settings that verifying needs: folders, database, DNS, SMTP, egress, lists.

Those of the CleverTap project and its exports, and all of them together, are in ``settings.py``.
"""

import ipaddress
import socket
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ct_pipeline.setting_values import (
    default_state_dir,
    read_helo_name,
    read_mail_from,
    read_proxy,
    read_source_address,
    split_list,
    split_nameserver,
)
from ct_pipeline.vocabulary import GibberishThreshold, VerifyMode


class VerifyingSettings(BaseSettings):
    """The first part of :class:`~ct_pipeline.settings.Settings`."""

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

    @field_validator("nameservers", "allowed_networks", "own_egresses", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return split_list(value)

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
