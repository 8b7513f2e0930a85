"""One list verified from end to end: taken up, looked up, asked, and the answers read back from the ledger."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ct_pipeline.settings import load_settings
from ct_pipeline_tests.benchmarks.dns_responder import DnsResponder, QueryCounters
from ct_pipeline_tests.benchmarks.lanes_in_child import LaneFigures, run_lanes
from ct_pipeline_tests.benchmarks.ledger_of_list import fresh_ledger, ledger_score, take_up_list
from ct_pipeline_tests.benchmarks.made_up_list import HOST_NETWORK
from ct_pipeline_tests.benchmarks.score import Score
from ct_pipeline_tests.benchmarks.smtp_responder import Behaviour, Counters, SmtpResponder


@dataclass(frozen=True, slots=True)
class WholeLane:
    """What verifying one list took, what it found, and what the others saw of it."""

    take_up_seconds: float
    lanes: LaneFigures
    score: Score
    hosts: Counters
    dns: QueryCounters


def verify_list(
    sizes: Sequence[int], behaviour: Behaviour, server_url: str, hosts: SmtpResponder, dns: DnsResponder
) -> WholeLane:
    """Verify ``sizes[n]`` addresses of host n, under the limits of the environment, in a ledger made for it.

    Raises:
        RuntimeError: the process that verifies failed, or did not keep to SMTP.
    """
    hosts.behave(behaviour)
    dns.count_anew()
    with fresh_ledger(server_url) as url:
        values = {
            "database_url": url,
            "nameservers": f"127.0.0.1:{dns.port}",
            "smtp_port": hosts.port,
            "allowed_networks": HOST_NETWORK,
            "helo_name": "verifier.test",
            "helo_unchecked": True,  # nobody here answers for our address
            "mail_from": "",
        }
        settings = load_settings(**values)
        started = time.perf_counter()
        take_up_list(settings, sizes)
        take_up_seconds = time.perf_counter() - started
        lanes = run_lanes(values)
        outcome = WholeLane(take_up_seconds, lanes, ledger_score(settings), hosts.counters(), dns.counters())
    if not outcome.hosts.is_proper:
        raise RuntimeError(f"the engine did not keep to SMTP: {outcome.hosts}")
    return outcome
