"""How long it takes to judge one million addresses: from evidence in memory, and from and into the ledger.

Run from the project's root: ``.venv/bin/python ct_pipeline_tests/benchmarks/judging.py [ADDRESSES]``. The mix is
that of an ordinary list: most accepted, some refused, some at catch-alls, some not settled. Making the evidence
is not timed. For the ledger's part it starts an embedded server of its own, in the temporary folder, with the settings
that users get; the peak is of this process, the server's memory is Postgres' own. The second time everything is judged
anew by other rules.
"""

import platform
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

import psycopg

from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.judge import JudgeSummary, judge_unjudged
from ct_pipeline.storage.embedded_postgres import start_embedded, stop_embedded
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.migrations import upgrade
from ct_pipeline.verdicts.evidence import Evidence, Reading
from ct_pipeline.verdicts.judge import judge
from ct_pipeline.verdicts.judging_rules import JudgingRules
from ct_pipeline.vocabulary import About, MailService, Reason, Status

NOW = datetime(2026, 11, 23, tzinfo=UTC)
BATCH = 20_000
RULES = JudgingRules("rules")
ADDRESSES_PER_DOMAIN = 20
# code, reason, about, is the domain a catch-all; one address in ten each
MIX: list[tuple[int, Reason, About, bool]] = [
    *[(250, Reason.ACCEPTED, About.ADDRESS, False)] * 5,
    *[(550, Reason.MAILBOX_NOT_FOUND, About.ADDRESS, False)] * 2,
    (250, Reason.ACCEPTED, About.ADDRESS, True),
    (450, Reason.GREYLISTED, About.TEMPORARY, False),
    (550, Reason.PROBER_BLOCKED, About.US, False),
]


def main(count: int) -> None:
    print(f"Python {platform.python_version()}, {count:,} addresses", flush=True)
    in_memory(count)
    folder = Path(tempfile.mkdtemp(prefix="ct_pipeline_bench-"))
    folder.chmod(0o755)
    settings = load_settings(state_dir=folder, database_url=None)
    url = start_embedded(settings)
    try:
        upgrade(url)
        with open_ledger(settings) as conn:
            fill(conn, count)
        measured("judged from and into the ledger", settings)
        again = measured("judged anew by other rules", settings.model_copy(update={"role_is_safe": True}))
        assert again.rejudgement is not None
        print(f"  {again.rejudgement.changed_count:,} of {again.rejudgement.judged_count:,} came out differently")
        nothing = judge_unjudged(settings.model_copy(update={"role_is_safe": True}))
        assert nothing.judged_count == 0
        print(f"nothing to judge: found out in {nothing.seconds * 1000:.0f} ms")
    finally:
        stop_embedded(settings)
        shutil.rmtree(folder)


def in_memory(count: int) -> None:
    statuses: Counter[Status] = Counter()
    seconds = 0.0
    for first in range(0, count, BATCH):
        batch = [evidence(number) for number in range(first, min(first + BATCH, count))]
        started = time.perf_counter()
        statuses.update(judge(one, RULES, NOW).status for one in batch)
        seconds += time.perf_counter() - started
    print(f"judged from evidence in memory: {seconds:.1f} s; {peak_mib():.0f} MiB at most", flush=True)
    print("  " + ", ".join(f"{status.value} {number:,}" for status, number in statuses.most_common()))


def measured(title: str, settings: Settings) -> JudgeSummary:
    before = time.process_time()
    summary = judge_unjudged(settings)
    busy, rate = time.process_time() - before, summary.judged_count / summary.seconds
    print(f"{title}: {summary.judged_count:,} in {summary.seconds:.1f} s, {rate:,.0f}/s")
    print(f"  of which {busy:.1f} s this process was on a processor; {peak_mib():.0f} MiB at most")
    print("  " + ", ".join(f"{status} {number:,}" for status, number in summary.statuses.most_common()), flush=True)
    return summary


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def evidence(number: int) -> Evidence:
    code, reason, about, is_catch_all = MIX[number % len(MIX)]
    return Evidence(
        address_id=number,
        address=f"someone.{number}@shop{number % 997}.example",
        syntax_reason=None,
        is_role=number % 50 == 0,
        is_gibberish=number % 70 == 0,
        suggested_email=None,
        canonical_email=None,
        listing=None,
        mail_service=MailService.MX,
        dns_detail="",
        provider="google",
        mx_record="mx.example",
        is_disposable=False,
        is_free=False,
        is_acceptance_doubtful=False,
        is_refusal_doubtful=False,
        domain_looked_up_at=NOW,
        reading=Reading(reason, about, "some_rule"),
        smtp_code=code,
        smtp_enhanced=None,
        smtp_text="text",
        is_definitive=True,
        asked_at=NOW,
        elapsed_ms=120,
        settled=None,
        attempt_count=1,
        next_attempt_at=None,
        is_catch_all=is_catch_all,
        tells_apart=True,
        catch_all_found_at=NOW,
    )


def fill(conn: psycopg.Connection, count: int) -> None:
    """Evidence as a verifier leaves it: every address asked once, one in ten twice, one domain in ten a catch-all."""
    for statement in STATEMENTS:
        conn.execute(statement, {"count": count, "domains": max(10, count // ADDRESSES_PER_DOMAIN)})
    conn.execute("vacuum analyze")


STATEMENTS = (
    """
    insert into ledger.domains (domain, service, provider, mx_record, looked_up_at, service_since_at)
    select format('company%%s.test', n), 'mx', format('host%%s.test', n %% 1000), format('mx.host%%s.test', n %% 1000),
           now(), now() - interval '2 days'
    from generate_series(1, %(domains)s) as n
    """,
    """
    insert into ledger.addresses (address, domain_id, is_role)
    select case when n %% 50 = 0 then format('info@company%%s.test', n) else format('ann.lee%%s@company%%s.test', n, d)
           end, d, n %% 50 = 0
    from (select n, 1 + n %% %(domains)s as d from generate_series(1, %(count)s) as n) as numbered
    """,
    """
    insert into ledger.catch_all_facts (domain_id, is_catch_all, tells_apart, found_at, expires_at)
    select domain_id, domain_id %% 100 < 10, true, now(), now() + interval '30 days' from ledger.domains
    """,
    """
    insert into ledger.probes (probe_id, session_id, kind, address_id, domain_id, stage, code, enhanced, text, reason,
                               rule, asked_at, elapsed_ms)
    select address_id, address_id / 50, 'mailbox', address_id, domain_id, 'rcpt', code, enhanced,
           replace(text, '{}', address), 'unclear_reply', 'a-rule', now() - interval '1 hour', 120
    from ledger.addresses join (values
        (0, 250, '2.1.5', 'Recipient <{}> ok'), (1, 250, '2.1.5', 'Ok'), (2, 250, '2.1.5', 'Ok'),
        (3, 250, '2.1.5', 'Ok'), (4, 250, '2.1.5', 'Ok'), (5, 250, '2.1.5', 'Ok'),
        (6, 550, '5.1.1', '<{}>: Recipient address rejected: User unknown'),
        (7, 550, '5.1.1', 'The email account that you tried to reach does not exist'),
        (8, 450, '4.2.0', '<{}>: Recipient address rejected: Greylisted, try again'),
        (9, 550, '5.7.1', 'Service unavailable; Client host blocked using zen.spamhaus.org')
    ) as mix (n, code, enhanced, text) on n = address_id %% 10
    """,
    """
    insert into ledger.probes (probe_id, session_id, kind, address_id, domain_id, stage, code, enhanced, text, reason,
                               rule, asked_at, elapsed_ms)
    select 100000000 + address_id, 1, 'mailbox', address_id, domain_id, 'rcpt', 250, '2.1.5', 'Ok', 'accepted',
           'a-rule', now() - interval '1 day', 120
    from ledger.addresses where address_id %% 10 = 8
    """,
    """
    insert into ledger.due (address_id, domain_id, attempt_count, answered_at, probe_id, definitive_probe_id)
    select address_id, domain_id, 1, now(), address_id,
           case when address_id %% 10 = 8 then 100000000 + address_id when address_id %% 10 < 8 then address_id end
    from ledger.addresses
    """,
    "insert into ledger.unjudged (address_id, since_at) select address_id, now() from ledger.addresses",
)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
