"""Changes become records for CleverTap, and its answers become receipts (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ct_pipeline.clevertap.records import RecordAnswer
from ct_pipeline.clevertap.uploads import PropertyRecord, SubscriptionRecord
from ct_pipeline.errors import CleverTapUnavailableError
from ct_pipeline.to_clevertap.changes import Change, Receipt
from ct_pipeline.vocabulary import ChangeKind, Outcome

SERVER_ERROR = 555  # "miscellaneous server error": the one refusal of a record that may pass the next time
MOST_REFUSALS = 3  # of that kind, one after the other


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer comes to: receipts, and changes that were refused for now and are sent again."""

    receipts: list[Receipt]
    again: list[Change]


def subscription_records(changes: Sequence[Change]) -> list[SubscriptionRecord]:
    """In their order; the address in the spelling that CleverTap holds."""
    records: list[SubscriptionRecord] = []
    for change in changes:
        assert change.raw_email is not None, "a subscription change names an address"
        records.append(SubscriptionRecord(change.raw_email, change.kind is ChangeKind.RESUBSCRIBE))
    return records


def property_records(changes: Sequence[Change]) -> list[PropertyRecord]:
    """In their order; the profile by the identifier it was read with, never by e-mail."""
    records: list[PropertyRecord] = []
    for change in changes:
        assert change.identifier is not None, "a property change names a profile"
        records.append(PropertyRecord(change.identifier, change.properties))
    return records


def answered(changes: Sequence[Change], answers: Sequence[RecordAnswer], now: datetime, refusal_count: int) -> Answered:
    """What became of ``changes``, by the answers to them in the same order.

    Args:
        refusal_count: how often what is left of the batch was refused with :data:`SERVER_ERROR` before.

    Raises:
        CleverTapUnavailableError: there are more or fewer answers than changes, so nobody knows whose they are.
    """
    if len(answers) != len(changes):
        raise CleverTapUnavailableError(
            f"CleverTap gave {len(answers):,} answers to {len(changes):,} records: what became of them is not known."
        )
    receipts: list[Receipt] = []
    again: list[Change] = []
    for change, answer in zip(changes, answers, strict=True):
        if answer.is_processed:
            receipts.append(Receipt(change.change_id, Outcome.PROCESSED, now, text=answer.text))
        elif answer.code == SERVER_ERROR and refusal_count + 1 < MOST_REFUSALS:
            again.append(change)
        else:
            receipts.append(Receipt(change.change_id, Outcome.REJECTED, now, answer.code, answer.text))
    return Answered(receipts, again)


def receipt_without_sending(
    change_id: int, kind: ChangeKind, why: str, sent_at: datetime | None, now: datetime
) -> Receipt:
    """The receipt of a change that is not sent, because its grounds are gone.

    One that was sent before, without an answer, may have reached CleverTap. Except for a resubscribe it is counted as
    taken: so it stays listed as ours, and can be undone.

    Args:
        sent_at: when it was sent before, if it was.
    """
    if sent_at is None or kind is ChangeKind.RESUBSCRIBE:
        return Receipt(change_id, Outcome.WITHDRAWN, now, text=why)
    # answered at once, as far as anyone knows: a later event must not be taken for ours
    text = f"Sent, but the answer never came; not sent again, since {why}."
    return Receipt(change_id, Outcome.PROCESSED, sent_at, text=text)
