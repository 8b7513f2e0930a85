"""The engine without a ledger: a list is planned and asked, and what was noted is compared with the truth."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

from ct_pipeline.domains.facts import DomainFacts, MxHost
from ct_pipeline.domains.providers import Providers
from ct_pipeline.settings import Settings
from ct_pipeline.stages.rare_collections import rare_collections
from ct_pipeline.stages.swift_loop import SwiftLoop
from ct_pipeline.verification.connection import Timeouts
from ct_pipeline.verification.dialer import Dialer
from ct_pipeline.verification.egress import DEFAULT_EGRESS, Egress, Envelope
from ct_pipeline.verification.notebook import Notebook, Observations
from ct_pipeline.verification.pace import SitePace
from ct_pipeline.verification.planner import Limits, plan_lane
from ct_pipeline.verification.probe import DueAddress
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.site_gate import SiteGate
from ct_pipeline.verification.site_run import SiteRun
from ct_pipeline.verification.surroundings import Surroundings
from ct_pipeline.vocabulary import MailService
from ct_pipeline_tests.benchmarks.made_up_list import address_of, domain_of, mailboxes
from ct_pipeline_tests.benchmarks.score import Score

LANE = "small-00"
ID_BLOCK = 10_000


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """What asking one list took. ``cpu_seconds`` are this process's own."""

    score: Score
    seconds: float
    cpu_seconds: float


def ask_list(settings: Settings, sizes: Sequence[int], kind: str = "user") -> EngineFigures:
    """Ask ``sizes[n]`` addresses of host n, each host a site of its own, within the limits of ``settings``.

    ``kind`` is that of :func:`~ct_pipeline_tests.benchmarks.made_up_list.mailboxes`.

    Planning is measured with it, as it is part of every run; making the list and checking the answers are not.
    """
    due, facts = _due_list(sizes, kind)
    reader = ReplyReader.load()
    block = count(1)
    notebook = Notebook(lambda _what: range(first := next(block) * ID_BLOCK, first + ID_BLOCK))
    started, cpu_started = time.perf_counter(), time.process_time()
    with rare_collections(), SwiftLoop() as loop:
        loop.run(_ask(settings, due, facts, reader, notebook))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return EngineFigures(_score(due, notebook.tear_off()), seconds, cpu_seconds)


def _due_list(sizes: Sequence[int], kind: str) -> tuple[list[DueAddress], dict[str, DomainFacts]]:
    due: list[DueAddress] = []
    facts: dict[str, DomainFacts] = {}
    now = datetime.now(UTC)
    for host, size in enumerate(sizes):
        domain = domain_of(host)
        mx_hosts = (MxHost(10, f"mx.{domain}", (address_of(host),)),)
        facts[domain] = DomainFacts(
            domain, MailService.MX, mx_hosts, f"mx.{domain}", domain, domain, LANE, False, False, now,
            now + timedelta(days=1),
        )  # fmt: skip
        first_id = len(due) + 1
        due += [DueAddress(first_id + n, each, domain, 0) for n, each in enumerate(mailboxes(domain, size, kind))]
    return due, facts


async def _ask(
    settings: Settings,
    due: Iterable[DueAddress],
    facts: dict[str, DomainFacts],
    reader: ReplyReader,
    notebook: Notebook,
) -> None:
    plan = plan_lane(LANE, due, facts, {}, Providers(()), Limits.of(settings), datetime.now(UTC))
    around = Surroundings(
        egress=Egress(DEFAULT_EGRESS, Envelope(settings.helo_name, settings.mail_from)),
        port=settings.smtp_port,
        timeouts=Timeouts(settings.connect_timeout_seconds, settings.reply_timeout_seconds),
        slots=asyncio.Semaphore(settings.smtp_concurrency),
        read=reader.read,
    )
    async with asyncio.TaskGroup() as sites:
        for site in plan.sites:
            pace = SitePace(DEFAULT_EGRESS, site.site, LANE, site.limits, datetime.now(UTC))
            sites.create_task(SiteRun(site, around, notebook, SiteGate(pace, Dialer(around, site.site))).run())


def _score(due: Iterable[DueAddress], page: Observations) -> Score:
    reasons = {probe.probe_id: probe.reason for probe in page.probes}
    settled = {
        turn.address_id: reasons.get(turn.probe_id) if turn.probe_id is not None else None
        for turn in page.turns
        if turn.next_attempt_at is None
    }
    score = Score()
    for address in due:
        score.add(address.address, settled.get(address.address_id), is_settled=address.address_id in settled)
    return score
