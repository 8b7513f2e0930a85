"""Whether the grounds of a planned change still stand when its turn comes.

Between plan and push weeks may pass: an address may have been verified again, or its answer may have grown too old, a
profile may have got another one, and whoever was to be unsubscribed may be so already.
"""

from datetime import datetime
from typing import LiteralString, NamedTuple

import psycopg

from ct_pipeline.storage.plan_question import HeldBack
from ct_pipeline.vocabulary import ChangeKind


class Standard(NamedTuple):
    """What a verdict has to meet, today as when it was planned, to unsubscribe anybody."""

    reasons: list[str]  # that the policy unsubscribes for
    rules_version: str
    fresh_since: datetime  # an older answer counts for nothing
    domain_reasons: list[str]  # of these the look-up of the domain is the answer
    syntax_reasons: list[str]  # these never go stale


class LostGround(NamedTuple):
    """A change that must not be sent. ``sent_at``: when it was sent before without an answer, if it was."""

    change_id: int
    sent_at: datetime | None
    why: str


def lost_grounds(conn: psycopg.Connection, batch_id: int, kind: ChangeKind, standard: Standard) -> list[LostGround]:
    """The changes of a batch that have no receipt and whose grounds are gone, with why in words."""
    parameters = {
        "batch_id": batch_id,
        **standard._asdict(),
        "is_unjudged": HeldBack.IS_UNJUDGED.value,
        "is_stale": HeldBack.IS_STALE.value,
        "needs_second_word": HeldBack.NEEDS_SECOND_WORD.value,
    }
    rows = conn.execute(_QUERIES[kind].replace("{sent_at}", _SENT_AT), parameters).fetchall()
    return [LostGround(*row) for row in rows]


_SENT_AT: LiteralString = "coalesce(c.intended_at, c.earlier_intended_at[cardinality(c.earlier_intended_at)])"

# An unsubscribe that was sent without an answer is withdrawn only for what makes sending it again wrong.
_UNSUBSCRIBE: LiteralString = """
select change_id, sent_at, why
from (
    select c.change_id, {sent_at} as sent_at,
           case when v.address_id is null then 'the address has no verdict any more'
                when v.status <> 'invalid' or v.bounce_type <> 'hard' or v.reason <> c.reason
                    then format('the verdict is now %%s (%%s)', v.status, v.reason)
                when not exists (select from ledger.profiles p
                                 where p.project = c.project and p.raw_email = c.raw_email
                                   and p.address_id = c.address_id)
                    then 'no profile holds the address in this spelling any more'
                when {sent_at} is not null then null
                when not c.reason = any(%(reasons)s) then 'the policy does not ask for it any more'
                when u.address_id is not null then 'new evidence on the address is not judged yet'
                when v.rules_version <> %(rules_version)s then %(is_unjudged)s
                when not v.reason = any(%(domain_reasons)s) and not v.reason = any(%(syntax_reasons)s)
                     and v.next_check_at is not null then %(needs_second_word)s
                when case when v.reason = any(%(domain_reasons)s) then coalesce(d.looked_up_at < %(fresh_since)s, true)
                          else not v.reason = any(%(syntax_reasons)s)
                               and coalesce(v.verified_at < %(fresh_since)s, true) end
                    then %(is_stale)s
                when exists (select from ledger.changes o left join ledger.receipts r using (change_id)
                             where o.project = c.project and o.raw_email = c.raw_email and o.kind = 'resubscribe'
                               and r.change_id is null)
                    then 'an undo of this address is under way'
                when (select o.kind = 'unsubscribe'
                      from ledger.changes o join ledger.receipts r using (change_id)
                      where o.project = c.project and o.raw_email = c.raw_email
                        and o.kind in ('unsubscribe', 'resubscribe') and r.outcome = 'processed'
                      order by o.change_id desc limit 1)
                    then 'the address is unsubscribed already, by us' end as why
    from ledger.changes c
    left join ledger.receipts mine on mine.change_id = c.change_id
    left join ledger.verdicts v on v.address_id = c.address_id
    left join ledger.unjudged u on u.address_id = c.address_id
    left join ledger.addresses a on a.address_id = c.address_id
    left join ledger.domains d on d.domain_id = a.domain_id
    where c.batch_id = %(batch_id)s and mine.change_id is null) as judged
where why is not null order by change_id
"""

_RESUBSCRIBE: LiteralString = """
select c.change_id, {sent_at}, format('batch %%s has unsubscribed the address again', min(o.batch_id))
from ledger.changes c
left join ledger.receipts mine on mine.change_id = c.change_id
join ledger.changes o on o.project = c.project and o.raw_email = c.raw_email and o.kind = 'unsubscribe'
                     and o.change_id > c.change_id and o.intended_at is not null
where c.batch_id = %(batch_id)s and mine.change_id is null
group by c.change_id order by c.change_id
"""

# Properties that were sent without an answer are sent again, whatever the verdict says now: only then is it known what
# CleverTap holds, and the next plan mends it.
_SET_PROPERTIES: LiteralString = """
select change_id, sent_at, why
from (
    select c.change_id, {sent_at} as sent_at,
           case when p.profile_id is null or (p.identifier_kind, p.identifier) <> (c.identifier_kind, c.identifier)
                    then 'the profile is not known by this identifier any more'
                when {sent_at} is not null or b.undoes_batch_id is not null then null
                when c.address_id is not null and p.address_id is distinct from c.address_id
                    then 'the profile has another address now'
                when c.status <> '' and (v.status, v.reason) is distinct from (c.status, c.reason)
                    then format('the verdict is now %%s (%%s)', coalesce(v.status, 'unknown'), v.reason) end as why
    from ledger.changes c
    join ledger.batches b using (batch_id)
    left join ledger.receipts mine on mine.change_id = c.change_id
    left join ledger.profiles p on p.profile_id = c.profile_id
    left join ledger.verdicts v on v.address_id = p.address_id
    where c.batch_id = %(batch_id)s and mine.change_id is null) as judged
where why is not null order by change_id
"""

_QUERIES: dict[ChangeKind, LiteralString] = {
    ChangeKind.UNSUBSCRIBE: _UNSUBSCRIBE,
    ChangeKind.RESUBSCRIBE: _RESUBSCRIBE,
    ChangeKind.SET_PROPERTIES: _SET_PROPERTIES,
}
