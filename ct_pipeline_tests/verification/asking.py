"""Runs the engine against hosts on loopback without a ledger: what it observed is read off the notebook."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any

from ct_pipeline.domains.facts import MxHost
from ct_pipeline.verification.connection import Timeouts
from ct_pipeline.verification.dialer import Dialer
from ct_pipeline.verification.egress import Egress, Envelope
from ct_pipeline.verification.host_group import HostGroup
from ct_pipeline.verification.notebook import Notebook, Observations
from ct_pipeline.verification.pace import SitePace
from ct_pipeline.verification.probe import DueAddress, ProbeKind
from ct_pipeline.verification.questions import DomainQuestions
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.site_gate import SiteGate
from ct_pipeline.verification.site_memory import SiteMemory
from ct_pipeline.verification.site_plan import SiteLimits, SitePlan
from ct_pipeline.verification.site_run import SiteRun
from ct_pipeline.verification.surroundings import Surroundings

READER = ReplyReader.load()
PATIENCE = Timeouts(connect=2.0, reply=2.0)
EGRESS = Egress("default", Envelope("prober.test", "probe@prober.test"))


def notebook() -> Notebook:
    numbers = count(1)
    return Notebook(lambda _what: range(first := next(numbers) * 1000, first + 1000))


def domain(name: str, locals_: Iterable[str], first_id: int = 1, **known: Any) -> DomainQuestions:
    """The questions of ``name`` for the given local parts; identifiers count from ``first_id``."""
    due = [DueAddress(number, f"{local}@{name}", name, 0) for number, local in enumerate(locals_, start=first_id)]
    return DomainQuestions(name, due, **known)


def group(*domains: DomainQuestions, addresses: tuple[str, ...] = ("127.0.0.1",)) -> HostGroup:
    """Domains whose mail hosts have ``addresses``."""
    hosts = tuple(MxHost(number, f"mx{number}.test", (address,)) for number, address in enumerate(addresses))
    return HostGroup(hosts, domains)


def site_run(
    port: int,
    *domains: DomainQuestions,
    addresses: tuple[str, ...] = ("127.0.0.1",),
    connections: int = 1,
    session_addresses: int = 50,
    timeouts: Timeouts = PATIENCE,
    slots: asyncio.Semaphore | None = None,
    may_ask: Callable[[], bool] = lambda: True,
    further_groups: tuple[HostGroup, ...] = (),
    limits: SiteLimits | None = None,
    pace: SitePace | None = None,
    egress: Egress = EGRESS,
) -> SiteRun:
    """A run with one site, not begun; the mail hosts of ``domains`` have ``addresses``, in this order of preference."""
    groups = (group(*domains, addresses=addresses), *further_groups)
    limits = limits or SiteLimits(connections, session_addresses, 20, 6000, 10_000)
    plan = SitePlan("host.test", "small-00", "", limits, groups)
    around = Surroundings(
        egress=egress,
        port=port,
        timeouts=timeouts,
        slots=slots or asyncio.Semaphore(50),
        read=READER.read,
        may_ask=may_ask,
    )
    return SiteRun(plan, around, notebook(), SiteGate(pace or full_pace(limits), Dialer(around, plan.site)))


def full_pace(limits: SiteLimits) -> SitePace:
    """The pace of a site that is known to bear its limits."""
    now = datetime.now(UTC)
    return SitePace("default", "host.test", "small-00", limits, now, SiteMemory("default", "host.test", "", now, 1.0))


async def ask(port: int, *domains: DomainQuestions, **options: Any) -> tuple[SiteRun, Observations]:
    """One site run to its end; ``options`` as those of :func:`site_run`."""
    run = site_run(port, *domains, **options)
    await run.run()
    return run, run.notebook.tear_off()


def reasons(page: Observations) -> dict[int, str]:
    """The last reading of each address of the list."""
    return {p.address_id: p.reason.value for p in page.probes if p.kind is ProbeKind.MAILBOX and p.address_id}


def finished(page: Observations) -> set[int]:
    """The addresses that are not due any more."""
    return {turn.address_id for turn in page.turns if turn.next_attempt_at is None}
