"""Profiles, verdicts and batches straight into the ledger, so that a test of pushing needs no pull and no plan."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import psycopg

from ct_pipeline.clevertap.records import PropertyValue
from ct_pipeline.settings import load_settings
from ct_pipeline.stages.rules_in_force import rules_version
from ct_pipeline.vocabulary import BatchState, ChangeKind, Subscription, SubscriptionSource
from ct_pipeline_tests.storage.records import DAY, NOON

PROJECT = "TEST-123-4XYZ"


def add_profile(
    conn: psycopg.Connection,
    identity: str,
    raw_email: str | None,
    *,
    kind: str = "identity",
    status: str = "invalid",
    reason: str = "mailbox_not_found",
    properties: Mapping[str, object] | None = None,
    project: str = PROJECT,
    seen_at: datetime = NOON - DAY,
) -> int:
    """A profile, its address and a verdict on it; profiles with the same address share both."""
    address_id = None
    if raw_email is not None:
        address_id = _add_address(conn, raw_email.strip().lower())
        set_verdict(conn, address_id, status, reason)
    row = conn.execute(
        """
        insert into ledger.profiles (project, identifier_kind, identifier, address_id, raw_email, properties, seen_at,
                                     pull_id)
        values (%s, %s, %s, %s, %s, %s, %s, 1) returning profile_id
        """,
        (project, kind, identity, address_id, raw_email, json.dumps(properties or {}), seen_at),
    ).fetchone()
    assert row
    return row[0]


def _add_address(conn: psycopg.Connection, address: str) -> int:
    row = conn.execute(
        """
        insert into ledger.addresses (address, is_role) values (%s, false)
        on conflict (address) do update set is_role = false returning address_id
        """,
        (address,),
    ).fetchone()
    assert row
    return row[0]


def set_verdict(conn: psycopg.Connection, address_id: int, status: str, reason: str) -> None:
    bounce_type = "hard" if status == "invalid" else "none"
    conn.execute(
        """
        insert into ledger.verdicts (address_id, status, reason, safe_to_send, bounce_type, verdict_text, is_disposable,
                                     is_free, is_role, provider, attempt_count, rule, rules_version, verified_at,
                                     judged_at)
        values (%s, %s, %s, 'no', %s, '', false, false, false, 'x.test', 1, 'a-rule', %s, %s, %s)
        on conflict (address_id) do update
        set status = excluded.status, reason = excluded.reason, bounce_type = excluded.bounce_type
        """,
        (address_id, status, reason, bounce_type, rules_version(load_settings()), datetime.now(UTC), NOON),
    )


def address_id_of(conn: psycopg.Connection, raw_email: str) -> int:
    row = conn.execute(
        "select address_id from ledger.addresses where address = %s", (raw_email.strip().lower(),)
    ).fetchone()
    assert row
    return row[0]


def add_batch(
    conn: psycopg.Connection,
    kind: ChangeKind,
    *,
    state: BatchState = BatchState.PLANNED,
    project: str = PROJECT,
    count: int = 0,
    held_because: str = "",
    undoes_batch_id: int | None = None,
    planned_at: datetime = NOON,
) -> int:
    row = conn.execute(
        """
        insert into ledger.batches (project, kind, state, change_count, held_because, undoes_batch_id, planned_at)
        values (%s, %s, %s, %s, %s, %s, %s) returning batch_id
        """,
        (project, kind, state, count, held_because, undoes_batch_id, planned_at),
    ).fetchone()
    assert row
    return row[0]


def add_unsubscribes(
    conn: psycopg.Connection,
    raw_emails: Sequence[str],
    *,
    kind: ChangeKind = ChangeKind.UNSUBSCRIBE,
    prior: Subscription = Subscription.UNKNOWN,
    source: SubscriptionSource = SubscriptionSource.NONE,
    state: BatchState = BatchState.PLANNED,
    undoes_batch_id: int | None = None,
    project: str = PROJECT,
) -> int:
    """A batch that unsubscribes the addresses of known profiles; returns its id. Changes are in the order given."""
    batch_id = add_batch(
        conn, kind, state=state, count=len(raw_emails), undoes_batch_id=undoes_batch_id, project=project
    )
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into ledger.changes (batch_id, project, kind, address_id, raw_email, prior_subscription,
                                        prior_source, status, reason, rule, rules_version, provider)
            select %s, %s, %s, address_id, %s, %s, %s, 'invalid', 'mailbox_not_found', 'a-rule', 'v1', 'x.test'
            from ledger.addresses where address = %s
            """,
            [(batch_id, project, kind, raw, prior, source, raw.strip().lower()) for raw in raw_emails],
        )
    return batch_id


def add_property_changes(
    conn: psycopg.Connection,
    changes: Sequence[tuple[int, Mapping[str, PropertyValue]]],
    *,
    state: BatchState = BatchState.PLANNED,
    project: str = PROJECT,
) -> int:
    """A batch that sets properties of profiles, given by profile id; what they hold now is noted as before."""
    batch_id = add_batch(conn, ChangeKind.SET_PROPERTIES, state=state, count=len(changes), project=project)
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into ledger.changes (batch_id, project, kind, address_id, profile_id, identifier_kind, identifier,
                                        properties, prior_properties, status, reason, rule, rules_version, provider)
            select %(batch)s, p.project, 'set_properties', p.address_id, profile_id, identifier_kind, identifier,
                   %(new)s::jsonb,
                   coalesce((select jsonb_object_agg(key, value) from jsonb_each(p.properties) as e (key, value)
                             where %(new)s::jsonb ? key), '{}'),
                   coalesce(v.status, ''), coalesce(v.reason, ''), 'a-rule', 'v1', 'x.test'
            from ledger.profiles p left join ledger.verdicts v using (address_id) where profile_id = %(profile)s
            """,
            [{"batch": batch_id, "new": json.dumps(new), "profile": profile_id} for profile_id, new in changes],
        )
    return batch_id


def outcomes(conn: psycopg.Connection, batch_id: int) -> list[tuple[str, str]]:
    """(outcome, text) of every change of the batch, in order; ("", "") where there is no receipt."""
    return conn.execute(
        """
        select coalesce(outcome, ''), coalesce(text, '') from ledger.changes left join ledger.receipts using (change_id)
        where batch_id = %s order by change_id
        """,
        (batch_id,),
    ).fetchall()


def state_of(conn: psycopg.Connection, batch_id: int) -> str:
    row = conn.execute("select state from ledger.batches where batch_id = %s", (batch_id,)).fetchone()
    assert row
    return row[0]
