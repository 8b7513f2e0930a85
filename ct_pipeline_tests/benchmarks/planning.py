"""How long a plan takes for a project of many profiles: the first one, one after it, and one when all is sent.

Run from the project's root: ``.venv/bin/python ct_pipeline_tests/benchmarks/planning.py [PROFILES]``. It starts an
embedded server of its own, in the temporary folder, with the settings that users get. One profile in ten is invalid,
one in five hundred has subscription events. The peak is of this process; the server's memory is Postgres' own.
"""

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

import psycopg

from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.plan import make_plan
from ct_pipeline.stages.rules_in_force import rules_version
from ct_pipeline.storage.embedded_postgres import start_embedded, stop_embedded
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.migrations import upgrade
from ct_pipeline.to_clevertap.preview import PlanSummary

DEFAULT_PROFILES = 1_000_000
PROJECT = "BENCH-1"
PROFILES_PER_DOMAIN = 20


def main(profile_count: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ct_pipeline_bench-"))
    folder.chmod(0o755)
    settings = load_settings(
        state_dir=folder, database_url=None, project_id=PROJECT, unsubscribe_share_limit=1, provider_jump_limit=1
    )
    url = start_embedded(settings)
    try:
        upgrade(url)
        with open_ledger(settings) as conn:
            fill(conn, profile_count)
            measure(settings, conn, profile_count)
    finally:
        stop_embedded(settings)
        shutil.rmtree(folder)


def measure(settings: Settings, conn: psycopg.Connection, profile_count: int) -> None:
    with timed("first plan: unsubscribe and append", profile_count):
        first = make_plan(settings)
    show(first)
    with timed("a plan after it, all still open", profile_count):
        second = make_plan(settings)
    assert (second.unsubscribe_count, second.property_change_count, second.withdrawn_count) == (0, 0, 0)
    take_everything(conn)
    with timed("a plan when all is sent", profile_count):
        third = make_plan(settings)
    assert (third.unsubscribe_count, third.property_change_count, third.withdrawn_count) == (0, 0, 0)
    conn.execute("update ledger.verdicts set reason = 'mailbox_disabled' where address_id % 100 = 0")
    with timed("a plan when every hundredth verdict changed", profile_count):
        fourth = make_plan(settings)
    show(fourth)
    assert fourth.property_change_count == profile_count // 100
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def show(summary: PlanSummary) -> None:
    print(
        f"  {summary.unsubscribe_count:,} unsubscribes, {summary.property_change_count:,} property changes, "
        f"{len(summary.batches):,} batches, held back: {summary.held_back}"
    )


def fill(conn: psycopg.Connection, profile_count: int) -> None:
    parameters = {
        "count": profile_count,
        "domains": max(1, profile_count // PROFILES_PER_DOMAIN),
        "rules": rules_version(load_settings()),
        "project": PROJECT,
    }
    for statement in STATEMENTS:
        conn.execute(statement, parameters)
    conn.execute("analyze")


def take_everything(conn: psycopg.Connection) -> None:
    """What a push leaves behind when CleverTap took everything."""
    conn.execute(
        """
        insert into ledger.receipts (change_id, outcome, answered_at)
        select change_id, 'processed', now() from ledger.changes
        """
    )
    conn.execute("update ledger.changes set intended_at = now(), attempt_count = 1")
    conn.execute("update ledger.batches set state = 'done', done_at = now()")
    conn.execute(
        """
        update ledger.profiles p set properties = c.properties, properties_at = now()
        from ledger.changes c where c.profile_id = p.profile_id and c.kind = 'set_properties'
        """
    )
    conn.execute("analyze")


STATEMENTS = (
    """
    insert into ledger.domains (domain, service, provider, looked_up_at, service_since_at)
    select format('company%%s.test', n), 'mx', format('host%%s.test', n %% 1000), now(), now() - interval '2 days'
    from generate_series(1, %(domains)s) as n
    """,
    """
    insert into ledger.addresses (address, domain_id, is_role)
    select format('ann.lee%%s@company%%s.test', n, 1 + n %% %(domains)s), domain_id, false
    from generate_series(1, %(count)s) as n
    join ledger.domains on domain = format('company%%s.test', 1 + n %% %(domains)s)
    """,
    """
    insert into ledger.verdicts (address_id, status, reason, safe_to_send, bounce_type, verdict_text, is_disposable,
        is_free, is_role, provider, mx_record, smtp_code, smtp_enhanced, smtp_text, attempt_count, verified_at, rule,
        rules_version, judged_at)
    select address_id, case when bad then 'invalid' else 'valid' end,
           case when bad then 'mailbox_not_found' else 'accepted' end, case when bad then 'no' else 'yes' end,
           case when bad then 'hard' else 'none' end, 'What the mail server says about this mailbox.', false, false,
           false, provider, 'mx.' || provider, 250, '2.1.5', 'ok', 1, now() - interval '1 day', 'rule', %(rules)s, now()
    from (select address_id, provider, address_id %% 10 = 0 as bad
          from ledger.addresses join ledger.domains using (domain_id)) as judged
    """,
    """
    insert into ledger.profiles (project, identifier_kind, identifier, address_id, raw_email, seen_at, pull_id)
    select %(project)s, 'identity', format('customer-%%s', address_id), address_id, initcap(address), now(), 1
    from ledger.addresses
    """,
    """
    insert into ledger.subscription_events (project, email, happened_at, identifier_kind, identifier, is_resubscribe)
    select %(project)s, address, now() - interval '90 days', 'identity', format('customer-%%s', address_id),
           address_id %% 1000 = 0
    from ledger.addresses where address_id %% 500 = 0
    """,
)


@contextmanager
def timed(title: str, row_count: int) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    print(f"{title:45} {row_count:>9,} rows  {seconds:8.2f} s  {row_count / seconds:>10,.0f} rows/s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PROFILES)
