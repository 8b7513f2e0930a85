"""How long it takes to judge one million addresses from evidence in memory.

Run from the project's root: ``.venv/bin/python ct_pipeline_tests/benchmarks/judging.py [ADDRESSES]``. The mix is
that of an ordinary list: most accepted, some refused, some at catch-alls, some not settled. Making the evidence
is not timed.
"""

import platform
import resource
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

from ct_pipeline.verdicts.evidence import Evidence, Reading
from ct_pipeline.verdicts.judge import judge
from ct_pipeline.verdicts.judging_rules import JudgingRules
from ct_pipeline.vocabulary import About, MailService, Reason, Status

NOW = datetime(2026, 11, 23, tzinfo=UTC)
BATCH = 20_000
RULES = JudgingRules("rules")
# code, reason, about, is the domain a catch-all; one address in ten each
MIX: list[tuple[int, Reason, About, bool]] = [
    *[(250, Reason.ACCEPTED, About.ADDRESS, False)] * 5,
    *[(550, Reason.MAILBOX_NOT_FOUND, About.ADDRESS, False)] * 2,
    (250, Reason.ACCEPTED, About.ADDRESS, True),
    (450, Reason.GREYLISTED, About.TEMPORARY, False),
    (550, Reason.PROBER_BLOCKED, About.US, False),
]


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
        is_refusal_doubtful=False,
        domain_looked_up_at=NOW,
        reading=Reading(reason, about, "some_rule"),
        smtp_code=code,
        smtp_enhanced=None,
        smtp_text="text",
        asked_at=NOW,
        elapsed_ms=120,
        settled=None,
        attempt_count=1,
        next_attempt_at=None,
        is_catch_all=is_catch_all,
        tells_apart=True,
        catch_all_found_at=NOW,
    )


def main(count: int) -> None:
    statuses: Counter[Status] = Counter()
    seconds = processor_seconds = 0.0
    for first in range(0, count, BATCH):
        batch = [evidence(number) for number in range(first, min(first + BATCH, count))]
        started, processor_started = time.perf_counter(), time.process_time()
        statuses.update(judge(one, RULES, NOW).status for one in batch)
        seconds += time.perf_counter() - started
        processor_seconds += time.process_time() - processor_started
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"Python {platform.python_version()}: {count:,} addresses judged in {seconds:.1f} s")
    print(f"of which {processor_seconds:.1f} s on the processor; peak {peak_mib:.0f} MiB")
    print(", ".join(f"{status.value} {number:,}" for status, number in statuses.most_common()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
