"""What the ledger knows of the e-mail subscription of addresses: events, our own sendings, their profiles."""

from collections import defaultdict
from collections.abc import Iterable
from typing import LiteralString

import psycopg

from ct_pipeline.clevertap.records import Identifier
from ct_pipeline.storage.copy_in import analyze, copy_rows, drop_stages, make_stage, storable
from ct_pipeline.to_clevertap.changes import AddressHolder, Sending, SubscriptionEvent, SubscriptionEvidence
from ct_pipeline.vocabulary import ChangeKind, IdentifierKind


def subscription_evidence(
    conn: psycopg.Connection, project: str, addresses: Iterable[tuple[str, int]]
) -> dict[str, SubscriptionEvidence]:
    """The evidence of each (raw_email, address_id), by raw_email; every one of them has an entry.

    Events count that name the spelling, whatever its case, or the normalized address; sendings and profiles count that
    have the same normalized address in whichever spelling.
    """
    wanted = dict(addresses)
    rows = [(raw_email, address_id, storable(raw_email.strip().lower())) for raw_email, address_id in wanted.items()]
    parameters = {"project": project}
    with conn.transaction():
        make_stage(conn, "wanted", 'raw_email text collate "C", address_id bigint, event_email text collate "C"')
        copy_rows(conn, "wanted", ("raw_email", "address_id", "event_email"), rows)
        analyze(conn, "wanted")
        events: defaultdict[str, list[SubscriptionEvent]] = defaultdict(list)
        for raw_email, at, is_resubscribe, kind, value, level in conn.execute(_EVENTS, parameters):
            identifier = Identifier(IdentifierKind(kind or IdentifierKind.OBJECT_ID), value)  # some name nobody
            events[raw_email].append(SubscriptionEvent(at, is_resubscribe, identifier, level))
        sendings: defaultdict[str, list[Sending]] = defaultdict(list)
        for raw_email, kind, intended_at, answered_at, sent_as, is_theirs in conn.execute(_SENDINGS, parameters):
            sendings[raw_email].append(
                Sending(kind == ChangeKind.RESUBSCRIBE, intended_at, answered_at, sent_as, is_theirs)
            )
        holders: defaultdict[str, list[AddressHolder]] = defaultdict(list)
        for raw_email, kind, value, event_count, event_at, held_as in conn.execute(_HOLDERS, parameters):
            identifier = Identifier(IdentifierKind(kind), value)
            holders[raw_email].append(AddressHolder(identifier, event_count, event_at, held_as))
        drop_stages(conn, ["wanted"])
    return {
        raw_email: SubscriptionEvidence(events[raw_email], sendings[raw_email], holders[raw_email])
        for raw_email in wanted
    }


_EVENTS: LiteralString = """
select raw_email, happened_at, is_resubscribe, identifier_kind, identifier, level
from (select raw_email, event_email as email from wanted
      union
      select raw_email, address from wanted join ledger.addresses using (address_id)
      union
      select wanted.raw_email, lower(btrim(p.raw_email, E' \\t\\r\\n'))
      from wanted join ledger.profiles p using (address_id) where p.project = %(project)s) as names
join ledger.subscription_events e using (email)
where e.project = %(project)s
"""

# A change that was refused changed nothing; one without an answer, withdrawn later or not, may have. One that is only
# counted as processed, because its answer never came, bears the time of its intent on the receipt.
_SENDINGS: LiteralString = """
select w.raw_email, c.kind, sent.intended_at + difference, sent.answered_at + difference, c.raw_email,
       b.clock_difference is not null
from wanted w
join ledger.changes c on c.address_id = w.address_id and c.kind in ('unsubscribe', 'resubscribe')
left join ledger.receipts r using (change_id)
left join ledger.batches b using (batch_id)
cross join lateral (select coalesce(b.clock_difference, interval '0')) as clock (difference)
cross join lateral (
    select unnest(c.earlier_intended_at) as intended_at, null::timestamptz as answered_at
    union all
    select c.intended_at, case when r.outcome = 'processed' and r.answered_at > c.intended_at then r.answered_at end
    where c.intended_at is not null and r.outcome is distinct from 'rejected'
) as sent
where c.project = %(project)s
"""

_HOLDERS: LiteralString = """
select w.raw_email, p.identifier_kind, p.identifier, p.unsubscribe_event_count, p.unsubscribe_event_at,
       p.raw_email
from wanted w join ledger.profiles p using (address_id)
where p.project = %(project)s
"""
