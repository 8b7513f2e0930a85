"""Which unsubscribes are still owed to CleverTap, and which open ones have lost their grounds.

Everything is worked out by the database, over all profiles at once, in temporary tables of the caller's transaction:
:func:`find_owed` makes them, the other functions read and mend them.
"""

from collections.abc import Iterable, Iterator
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from ct_pipeline.storage.copy_in import analyze, copy_rows, drop_stages, make_stage
from ct_pipeline.storage.plan_question import HeldBack, PlanQuestion
from ct_pipeline.to_clevertap.changes import MAX_BATCH_CHANGES, Change
from ct_pipeline.vocabulary import ChangeKind, Subscription, SubscriptionSource


class Spelling(NamedTuple):
    """An address as CleverTap spells it."""

    raw_email: str
    address_id: int


def make_members(conn: psycopg.Connection, project: str, audience: str | None) -> bool:
    """Make ``plan_members``, the profiles that the plan is about; False when the audience was never pulled.

    An audience is made of its newest pulls that were taken up: one of each source, so of each day of a daily audience.
    """
    if audience is None:
        # a view, since a copy of all profiles would cost as much as the plan; views take no parameters
        conn.execute(sql.SQL(_ALL_MEMBERS).format(project=sql.Literal(project)))
        return True
    pulls = conn.execute(_PULLS_OF_AUDIENCE, {"name": f"{project}/{audience}", "project": project}).fetchall()
    conn.execute(_MEMBERS, {"project": project, "pull_ids": [pull_id for (pull_id,) in pulls]})
    analyze(conn, "plan_members")
    return bool(pulls)


def lost_grounds(conn: psycopg.Connection, question: PlanQuestion) -> list[tuple[int, str]]:
    """Open unsubscribes, held and approved ones too, that would not be planned any more: (change_id, why) each."""
    return conn.execute(f"{_OPEN} {_LOST}", question.parameters()).fetchall()


def open_spellings(conn: psycopg.Connection, project: str) -> list[tuple[int, str, int]]:
    """Open unsubscribes that can be withdrawn: (change_id, raw_email, address_id) each."""
    return conn.execute(
        f"{_OPEN} select change_id, raw_email, address_id from open order by change_id",  # noqa: S608 - of this file
        {"project": project},
    ).fetchall()


def open_of_providers(conn: psycopg.Connection, project: str, is_braked: Iterable[str]) -> list[tuple[int, str]]:
    """Open unsubscribes in unbraked batches at these providers: (change_id, provider) each."""
    return conn.execute(
        f"{_OPEN} select change_id, provider from open "  # noqa: S608 - of this file
        "where state = 'planned' and provider = any(%(providers)s)",
        {"project": project, "providers": list(is_braked)},
    ).fetchall()


def find_owed(conn: psycopg.Connection, question: PlanQuestion) -> None:
    """Make ``plan_owed``: every spelling, of ``plan_members``, of an address that is invalid with a hard bounce, with
    ``why_not`` null where an unsubscribe is owed."""
    parameters = question.parameters()
    conn.execute(_HISTORY, parameters)
    analyze(conn, "plan_history")  # before it is joined with itself: taken for a few rows, it would be for hours
    for statement in (_EARLIER, _UNDONE, _REJECTED):
        conn.execute(statement)
    for table in ("plan_earlier", "plan_undone", "plan_rejected"):
        analyze(conn, table)
    conn.execute(_OWED, parameters)
    conn.execute("create unique index on plan_owed (raw_email)")
    analyze(conn, "plan_owed")


def owed_with_evidence(conn: psycopg.Connection, project: str) -> list[Spelling]:
    """The owed spellings of which anything is known about their subscription; of the others nothing is."""
    rows = conn.execute(_WITH_EVIDENCE, {"project": project}).fetchall()
    return [Spelling(*row) for row in rows]


def keep_priors(conn: psycopg.Connection, priors: Iterable[tuple[str, Subscription, SubscriptionSource]]) -> None:
    """Keep what was known of spellings before us; those that are unsubscribed already are no longer owed."""
    rows = [(raw_email, str(subscription), str(source)) for raw_email, subscription, source in priors]
    make_stage(conn, "plan_priors", 'raw_email text collate "C", subscription text, source text')
    copy_rows(conn, "plan_priors", ("raw_email", "subscription", "source"), rows)
    analyze(conn, "plan_priors")
    conn.execute(
        """
        update plan_owed o
        set prior_subscription = subscription, prior_source = source,
            why_not = case when subscription = 'unsubscribed' then %s end
        from plan_priors p where p.raw_email = o.raw_email
        """,
        (HeldBack.IS_UNSUBSCRIBED.value,),
    )
    drop_stages(conn, ["plan_priors"])


def owed_changes(
    conn: psycopg.Connection, providers: Iterable[str], *, of_others: bool = False
) -> Iterator[list[Change]]:
    """The owed unsubscribes at these providers, or at all others, as many as a batch holds at a time."""
    with conn.cursor("owed_changes") as cursor:
        cursor.execute(_OWED_CHANGES, {"providers": list(providers), "of_others": of_others})
        while rows := cursor.fetchmany(MAX_BATCH_CHANGES):
            yield [_change(row) for row in rows]


def owed_samples(conn: psycopg.Connection, limit: int) -> list[tuple[str, str, str]]:
    """Some owed unsubscribes, of as many reasons as there are: (raw_email, status, reason) each."""
    return conn.execute(
        """
        select raw_email, status, reason
        from (select raw_email, status, reason,
                     row_number() over (partition by reason order by md5(raw_email)) as turn
              from plan_owed where why_not is null) as numbered
        order by turn, reason limit %s
        """,
        (limit,),
    ).fetchall()


def _change(row: tuple[Any, ...]) -> Change:
    raw_email, address_id, prior_subscription, prior_source, *verdict = row
    return Change(
        0,
        0,
        ChangeKind.UNSUBSCRIBE,
        address_id,
        raw_email,
        None,
        None,
        {},
        {},
        Subscription(prior_subscription),
        SubscriptionSource(prior_source),
        *verdict,
    )


_ALL_MEMBERS: LiteralString = """
create or replace temporary view plan_members as
select profile_id, address_id, raw_email from ledger.profiles where project = {project}
"""

_PULLS_OF_AUDIENCE: LiteralString = """
select distinct on (source_name) pull_id
from ledger.pulls join ledger.audiences using (audience_id)
where name = %(name)s and project = %(project)s and taken_up_at is not null
order by source_name, pulled_at desc, pull_id desc
"""

_MEMBERS: LiteralString = """
create temporary table plan_members on commit drop as
select profile_id, address_id, raw_email from ledger.profiles
where project = %(project)s
      and profile_id in (select profile_id from ledger.holders where pull_id = any(%(pull_ids)s))
"""

_OPEN: LiteralString = """
with open as (
    select c.*, b.state
    from ledger.batches b join ledger.changes c using (batch_id) left join ledger.receipts r using (change_id)
    where b.project = %(project)s and b.kind = 'unsubscribe' and b.state in ('planned', 'held', 'approved')
          and b.undoes_batch_id is null and r.change_id is null
)
"""

# The same grounds as below. New evidence, and rules of another version, are no reason to withdraw: the judge is about
# to speak, and a push sends nothing that waits for it.
_LOST: LiteralString = """
select change_id, why
from (
    select o.change_id,
           case when not o.reason = any(%(reasons)s) then 'the policy does not ask for it any more'
                when v.address_id is null then 'the address has no verdict any more'
                when (v.status, v.bounce_type) <> ('invalid', 'hard')
                    then format('the verdict is now %%s (%%s)', v.status, v.reason)
                when v.reason <> o.reason then format('the verdict now rests on %%s', v.reason)
                when not exists (select from ledger.profiles p where p.project = o.project
                                 and p.raw_email = o.raw_email and p.address_id = o.address_id)
                    then 'no profile holds the address in this spelling any more'
                when exists (select from ledger.profiles p where p.project = o.project
                             and p.raw_email = o.raw_email and p.address_id is distinct from o.address_id)
                    then %(is_ambiguous)s
                when not v.reason = any(%(never_stale)s) and v.next_check_at is not null then %(needs_second_word)s
                when v.reason = any(%(domain_reasons)s) and coalesce(d.looked_up_at < %(fresh_since)s, true)
                     or not v.reason = any(%(never_stale)s)
                        and coalesce(v.verified_at < %(fresh_since)s, true) then %(is_stale)s end as why
    from open o
    left join ledger.verdicts v using (address_id)
    left join ledger.addresses a using (address_id)
    left join ledger.domains d on d.domain_id = a.domain_id
) as grounds
where why is not null order by change_id
"""

_HISTORY: LiteralString = """
create temporary table plan_history on commit drop as
select c.change_id, c.raw_email, c.address_id, c.kind, c.reason, r.outcome, r.answered_at
from ledger.changes c left join ledger.receipts r using (change_id)
where c.project = %(project)s and c.kind in ('unsubscribe', 'resubscribe')
"""

_EARLIER: LiteralString = """
create temporary table plan_earlier on commit drop as
select raw_email, bool_or(kind = 'unsubscribe' and outcome is null) as is_planned,
       bool_or(kind = 'resubscribe' and outcome is null) as is_being_undone,
       coalesce((array_agg(kind order by change_id desc) filter (where outcome = 'processed'))[1] = 'unsubscribe',
                false) as is_done
from plan_history group by raw_email
"""

# By address, not by spelling: whoever undid it meant the person.
_UNDONE: LiteralString = """
create temporary table plan_undone on commit drop as
select distinct u.address_id, u.reason
from plan_history u join plan_history r using (raw_email)
where u.kind = 'unsubscribe' and u.outcome = 'processed'
      and r.kind = 'resubscribe' and r.outcome = 'processed' and r.change_id > u.change_id
"""

_REJECTED: LiteralString = """
create temporary table plan_rejected on commit drop as
select distinct raw_email, reason from plan_history where kind = 'unsubscribe' and outcome = 'rejected'
"""

_OWED: LiteralString = """
create temporary table plan_owed on commit drop as
select m.raw_email, m.address_id, v.status, v.reason, v.rule, v.rules_version, v.provider, v.verified_at,
       'unknown' as prior_subscription, 'none' as prior_source,
       case when e.is_planned then %(is_planned)s
            when e.is_done then %(is_done)s
            when not v.reason = any(%(reasons)s) then %(not_chosen)s
            when e.is_being_undone then %(is_being_undone)s
            when not %(includes_undone)s and u.address_id is not null then %(was_undone)s
            when j.raw_email is not null then %(was_rejected)s
            when m.is_ambiguous then %(is_ambiguous)s
            when octet_length(m.raw_email) > 512 then %(is_too_long)s
            when w.address_id is not null or v.rules_version <> %(rules_version)s
                 or v.reason = any(%(domain_reasons)s)
                    and v.reason is distinct from case d.service when 'unroutable' then 'unroutable_mail_server'
                                                                 else d.service end then %(is_unjudged)s
            when v.reason = any(%(domain_reasons)s)
                 and coalesce(d.looked_up_at - d.service_since_at < %(second_look_up_after)s, true)
                then %(needs_second_look_up)s
            when not v.reason = any(%(never_stale)s) and v.next_check_at is not null then %(needs_second_word)s
            when v.reason = any(%(domain_reasons)s) and d.looked_up_at < %(fresh_since)s
                 or not v.reason = any(%(never_stale)s)
                    and coalesce(v.verified_at < %(fresh_since)s, true) then %(is_stale)s end as why_not
from (
    -- CleverTap unsubscribes whoever holds the spelling, in the plan or not: all of them have to be the same address
    select found.raw_email, found.address_id,
           exists (select from ledger.profiles p where p.project = %(project)s and p.raw_email = found.raw_email
                   and p.address_id is distinct from found.address_id) as is_ambiguous
    from (select distinct on (raw_email) raw_email, address_id
          from plan_members join ledger.verdicts using (address_id)
          where status = 'invalid' and bounce_type = 'hard' and btrim(raw_email) <> ''
          order by raw_email, address_id) as found
) as m
join ledger.verdicts v using (address_id)
join ledger.addresses a using (address_id)
left join ledger.domains d on d.domain_id = a.domain_id
left join ledger.unjudged w on w.address_id = m.address_id
left join plan_earlier e on e.raw_email = m.raw_email
left join plan_undone u on u.address_id = m.address_id and u.reason = v.reason
left join plan_rejected j on j.raw_email = m.raw_email and j.reason = v.reason
"""

_WITH_EVIDENCE: LiteralString = """
select raw_email, o.address_id
from plan_owed o join ledger.addresses a using (address_id)
where why_not is null and (
    exists (select from ledger.subscription_events s
            where s.project = %(project)s and s.email in (lower(btrim(o.raw_email)), a.address))
    or exists (select from plan_history h where h.address_id = o.address_id)
    or exists (select from ledger.profiles p where p.project = %(project)s and p.address_id = o.address_id
               and p.unsubscribe_event_count > 0))
order by raw_email
"""

_OWED_CHANGES: LiteralString = """
select raw_email, address_id, prior_subscription, prior_source, status, reason, rule, rules_version, provider,
       verified_at
from plan_owed
where why_not is null and (provider = any(%(providers)s)) <> %(of_others)s
order by raw_email
"""
