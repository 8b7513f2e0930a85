"""Every setting, read from the environment once: name, unit, default, range.

Names are the environment variables' (``CT_HELO_NAME`` is ``helo_name``). A wrong value raises
:class:`~ct_pipeline.errors.SettingsError`, which names the variable and the mend.
"""

import difflib
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode

from ct_pipeline.errors import SettingsError
from ct_pipeline.setting_values import describe_fault, split_list
from ct_pipeline.verifying_settings import VerifyingSettings
from ct_pipeline.vocabulary import ExportAction, ExportMode, Reason, Region

LIKELY_MISSPELT = 0.8  # similarity of two names, from 0 to 1


class Settings(VerifyingSettings):
    """All settings of one deployment. Build it with :func:`load_settings`."""

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

    @field_validator("export_actions", "unsubscribe_reasons", "append_columns", mode="before")
    @classmethod
    def _split_words(cls, value: object) -> object:
        return split_list(value)

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

    @property
    def zone(self) -> ZoneInfo:
        """``timezone``, looked up."""
        return ZoneInfo(self.timezone)


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
