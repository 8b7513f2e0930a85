"""When a batch's turn has come: changes whose grounds are gone get their receipt without being sent."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import psycopg

from ct_pipeline.settings import Settings
from ct_pipeline.stages.rules_in_force import rules_version
from ct_pipeline.storage.changes import keep_receipts, open_changes
from ct_pipeline.storage.grounds import LostGround, Standard, lost_grounds
from ct_pipeline.storage.subscription_evidence import subscription_evidence
from ct_pipeline.to_clevertap.changes import Change, SubscriptionEvidence
from ct_pipeline.to_clevertap.policy import DOMAIN_REASONS, HARD_REASONS, SYNTAX_REASONS
from ct_pipeline.to_clevertap.push_records import receipt_without_sending
from ct_pipeline.to_clevertap.subscription import subscription_of
from ct_pipeline.to_clevertap.undo import OPTED_OUT, opted_out
from ct_pipeline.vocabulary import ChangeKind, ExportAction, Subscription

UNSUBSCRIBED_ALREADY = "the address is unsubscribed already, not by us"


def close_groundless(
    conn: psycopg.Connection, project: str, batch_id: int, kind: ChangeKind, standard: Standard, now: datetime
) -> Counter[str]:
    """Write the receipts of changes that must not be sent; why → how many."""
    lost = groundless(conn, project, batch_id, kind, standard)
    keep_receipts(conn, [receipt_without_sending(one.change_id, kind, one.why, one.sent_at, now) for one in lost])
    return Counter(one.why for one in lost)


def standard_of(settings: Settings, now: datetime) -> Standard:
    """What a verdict has to meet today."""
    unsubscribes = ExportAction.UNSUBSCRIBE in settings.export_actions
    return Standard(
        reasons=[str(reason) for reason in settings.unsubscribe_reasons or HARD_REASONS] if unsubscribes else [],
        rules_version=rules_version(settings),
        fresh_since=now - timedelta(days=settings.fresh_for_days),
        domain_reasons=list(map(str, DOMAIN_REASONS)),
        syntax_reasons=list(map(str, SYNTAX_REASONS)),
    )


def groundless(
    conn: psycopg.Connection, project: str, batch_id: int, kind: ChangeKind, standard: Standard
) -> list[LostGround]:
    """The changes of a batch that must not be sent, and why; nothing is written."""
    lost = {one.change_id: one for one in lost_grounds(conn, batch_id, kind, standard)}
    if kind is not ChangeKind.SET_PROPERTIES:
        for one in _by_subscription(conn, project, batch_id, kind):
            lost.setdefault(one.change_id, one)
    return list(lost.values())


def _by_subscription(conn: psycopg.Connection, project: str, batch_id: int, kind: ChangeKind) -> Iterator[LostGround]:
    changes = open_changes(conn, batch_id)
    evidence = subscription_evidence(conn, project, addresses_of(changes))
    if kind is ChangeKind.RESUBSCRIBE:
        theirs = opted_out(evidence)
        yield from (LostGround(c.change_id, None, OPTED_OUT) for c in changes if c.raw_email in theirs)
        return
    for change in changes:
        # one that was sent before may itself be why: it is sent again, so that it is known as ours
        if change.attempt_count == 0 and _is_unsubscribed(evidence[change.raw_email or ""]):
            yield LostGround(change.change_id, None, UNSUBSCRIBED_ALREADY)


def addresses_of(changes: Iterable[Change]) -> list[tuple[str, int]]:
    """(spelling, address) of subscription changes."""
    return [(c.raw_email, c.address_id) for c in changes if c.raw_email is not None and c.address_id is not None]


def _is_unsubscribed(evidence: SubscriptionEvidence) -> bool:
    return subscription_of(evidence)[0] is Subscription.UNSUBSCRIBED
