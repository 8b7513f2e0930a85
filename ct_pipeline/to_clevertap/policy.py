"""What an export may do in CleverTap: the settings of it, checked and put into words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ct_pipeline.clevertap.properties import check_property_name
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings
from ct_pipeline.to_clevertap.properties import property_name
from ct_pipeline.verdicts.columns import LIST_SCHEMA
from ct_pipeline.vocabulary import ExportAction, Reason

# What the judge ever calls Invalid with a hard bounce; a test holds this list against the judge. A full mailbox, a
# block or greylisting is not among them and can never unsubscribe anybody, whatever the settings say.
HARD_REASONS = (
    Reason.SYNTAX_ERROR,
    Reason.UNSUPPORTED_CHARACTER,
    Reason.DOMAIN_NOT_FOUND,
    Reason.NO_MAIL_SERVICE,
    Reason.NULL_MX,
    Reason.UNROUTABLE_MAIL_SERVER,
    Reason.DOMAIN_NOT_HOSTED,
    Reason.MAILBOX_NOT_FOUND,
    Reason.MAILBOX_DISABLED,
    Reason.MAILBOX_MOVED,
)
# A resolver in trouble makes thousands of these at once: two look-ups that far apart have to agree.
DOMAIN_REASONS = (
    Reason.DOMAIN_NOT_FOUND,
    Reason.NO_MAIL_SERVICE,
    Reason.NULL_MX,
    Reason.UNROUTABLE_MAIL_SERVER,
)
SECOND_LOOK_UP_AFTER = timedelta(hours=24)
# Nothing is observed for these: they cannot go stale.
SYNTAX_REASONS = (Reason.SYNTAX_ERROR, Reason.UNSUPPORTED_CHARACTER)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is unsubscribed and what is appended. ``fresh_for``: an older answer unsubscribes nobody."""

    unsubscribes: bool
    appends: bool
    unsubscribe_reasons: tuple[Reason, ...]
    columns: tuple[str, ...]
    prefix: str
    unsubscribe_share_limit: float
    provider_jump_limit: float
    fresh_for: timedelta

    @classmethod
    def from_settings(cls, settings: Settings) -> "Policy":
        """The policy of the settings.

        Raises:
            SettingsError: a value makes no sense; names the variable and the mend.
        """
        if not settings.export_actions:
            raise SettingsError("CT_EXPORT_ACTIONS is empty; write unsubscribe, append, or both.")
        return cls(
            unsubscribes=ExportAction.UNSUBSCRIBE in settings.export_actions,
            appends=ExportAction.APPEND in settings.export_actions,
            unsubscribe_reasons=_checked_reasons(settings.unsubscribe_reasons),
            columns=_checked_columns(settings),
            prefix=settings.property_prefix.strip(),
            unsubscribe_share_limit=settings.unsubscribe_share_limit,
            provider_jump_limit=settings.provider_jump_limit,
            fresh_for=timedelta(days=settings.fresh_for_days),
        )

    def to_json(self) -> Mapping[str, Any]:
        """What a plan keeps of the policy it was made by."""
        return {
            "unsubscribes": self.unsubscribes,
            "appends": self.appends,
            "unsubscribe_reasons": [str(reason) for reason in self.unsubscribe_reasons],
            "columns": list(self.columns),
            "prefix": self.prefix,
            "unsubscribe_share_limit": self.unsubscribe_share_limit,
            "provider_jump_limit": self.provider_jump_limit,
            "fresh_for_days": self.fresh_for.days,
        }

    def words(self) -> list[str]:
        """The policy in sentences, for a preview."""
        return [self._unsubscribe_words(), self._append_words()]

    def _unsubscribe_words(self) -> str:
        if not self.unsubscribes:
            return "Unsubscribe nobody."
        if set(self.unsubscribe_reasons) == set(HARD_REASONS):
            return "Unsubscribe every address that is invalid and would bounce hard."
        return f"Unsubscribe every address that is invalid because of {', '.join(self.unsubscribe_reasons)}."

    def _append_words(self) -> str:
        if not self.appends:
            return "Append nothing to profiles."
        return f"Append to profiles: {', '.join(property_name(self.prefix, column) for column in self.columns)}."


def _checked_reasons(chosen: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """The chosen reasons, or all, in the order of :data:`HARD_REASONS`."""
    if unfit := [str(reason) for reason in chosen if reason not in HARD_REASONS]:
        raise SettingsError(
            f"CT_UNSUBSCRIBE_REASONS holds {', '.join(unfit)}, which never means that mail bounces for good, so it "
            f"unsubscribes nobody. Choose from {', '.join(HARD_REASONS)}, or leave it empty for all of them."
        )
    return tuple(reason for reason in HARD_REASONS if not chosen or reason in chosen)


def _checked_columns(settings: Settings) -> tuple[str, ...]:
    columns = tuple(dict.fromkeys(settings.append_columns))
    appends = ExportAction.APPEND in settings.export_actions
    if appends and not columns:
        raise SettingsError(
            "CT_APPEND_COLUMNS is empty; name columns, or take append out of CT_EXPORT_ACTIONS to append nothing."
        )
    if unknown := [column for column in columns if column not in LIST_SCHEMA]:
        raise SettingsError(
            f"CT_APPEND_COLUMNS holds {', '.join(unknown)}; choose from {', '.join(LIST_SCHEMA.names())}."
        )
    if not settings.property_prefix.strip():
        raise SettingsError("CT_PROPERTY_PREFIX is blank; write a word of your own, such as EV.")
    for column in columns:
        try:
            check_property_name(property_name(settings.property_prefix, column))
        except ValueError as error:
            raise SettingsError(f"CT_PROPERTY_PREFIX is {settings.property_prefix!r}: {error}.") from None
    return columns
