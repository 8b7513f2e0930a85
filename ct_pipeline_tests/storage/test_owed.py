"""What is owed, where much was done before."""

from datetime import timedelta

import psycopg

from ct_pipeline.storage.owed import find_owed, make_members
from ct_pipeline.storage.plan_question import PlanQuestion
from ct_pipeline_tests.storage.records import DAY, NOON

PROJECT = "TEST-123-4XYZ"
QUESTION = PlanQuestion(PROJECT, None, ("mailbox_not_found",), (), timedelta(hours=24), (), NOON - 30 * DAY, "v1")


def test_a_long_history_of_undone_batches_does_not_hold_up_a_plan(conn: psycopg.Connection) -> None:
    conn.execute(
        """
        insert into ledger.changes (batch_id, project, kind, address_id, raw_email, reason)
        select 1, %s, kind, number, format('user%%s@x.test', number), 'mailbox_not_found'
        from (values ('unsubscribe'), ('resubscribe')) as kinds (kind), generate_series(1, 20000) as number
        """,
        (PROJECT,),
    )
    conn.execute(
        "insert into ledger.receipts (change_id, outcome, answered_at) "
        "select change_id, 'processed', %s from ledger.changes",
        (NOON,),
    )
    conn.execute("set statement_timeout = '30s'")
    with conn.transaction():
        make_members(conn, PROJECT, None)
        find_owed(conn, QUESTION)
        assert conn.execute("select count(*) from plan_undone").fetchone() == (20_000,)
