"""A lane with a slow site: the others go on meanwhile, and so does what falls due, or may be asked again, later.

The slow host answers nothing until the others have been asked, or its sessions time out.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.domains.facts import DomainFacts, MxHost
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages import lane_run, lane_worker
from ct_pipeline.stages.site_at_work import Batch, SiteAtWork
from ct_pipeline.stages.verify import verify_lanes
from ct_pipeline.storage.database import connect, resolve_database_url
from ct_pipeline.storage.domain_facts import keep_domain_facts
from ct_pipeline.storage.site_memory import keep_site_memories
from ct_pipeline.verification import pace
from ct_pipeline.verification.lane_summary import LaneSummary
from ct_pipeline.verification.site_memory import SiteMemory
from ct_pipeline.vocabulary import MailService, Reason
from ct_pipeline_tests.storage.records import LANE, take
from ct_pipeline_tests.verification.asking import domain, site_run
from ct_pipeline_tests.verification.scripted_host import HANG_UP, Script, ScriptedHost, listening, polite

AT_ONCE = 40
SLOW, QUICK = ("127.0.0.61", "a.test"), ("127.0.0.62", "b.test")
NOW = datetime.now(UTC)
plain = polite(lambda _address: b"550 5.1.1 User unknown\r\n")


@pytest.fixture
def settings(settings_for_tests: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a lane that may hold a few addresses, and asks each in a session of its own."""
    for name in ("ADDRESSES_AT_ONCE", "LANE_ADDRESSES_AT_LEAST"):
        monkeypatch.setattr(lane_worker, name, AT_ONCE)
    return settings_for_tests


def fill(settings: Settings, slow_count: int, quick_count: int, later: str = "") -> None:
    """So many addresses of each site, each of a domain of its own; the domain ``later`` falls due after a moment."""
    sites = {f"a{n}.test": SLOW for n in range(slow_count)} | {f"b{n}.test": QUICK for n in range(quick_count)}
    with connect(resolve_database_url(settings)) as conn:
        take(conn, *(f"user@{name}" for name in sites))
        keep_domain_facts(conn, [facts_of(name, *site) for name, site in sites.items()], NOW)
        keep_site_memories(conn, [SiteMemory("default", site, LANE, NOW, 1.0) for _, site in (SLOW, QUICK)])
        conn.execute("update ledger.due set next_attempt_at = now()")
        conn.execute(
            "update ledger.due set next_attempt_at = now() + interval '1 s' "
            "where domain_id = (select domain_id from ledger.domains where domain = %s)",
            (later,),
        )


def facts_of(name: str, address: str, site: str) -> DomainFacts:
    hosts = (MxHost(10, f"mx.{site}", (address,)),)
    expires_at = NOW + timedelta(days=7)
    return DomainFacts(name, MailService.MX, hosts, f"mx.{site}", "", site, LANE, False, False, NOW, expires_at, "")


def verify(settings: Settings, quick: Script, is_enough: Callable[[ScriptedHost], bool]) -> tuple[LaneSummary, int]:
    """The lane's summary, and how many addresses the slow host had been asked when it began to answer: once the quick
    one ``is_enough`` asked."""

    async def main() -> tuple[LaneSummary, int]:
        begins, asked_before = asyncio.Event(), 0

        async def hold(command: str) -> None:
            if command.startswith("RCPT"):
                await begins.wait()

        async def watch(_command: str) -> None:
            nonlocal asked_before
            if is_enough(quick_host) and not begins.is_set():
                asked_before = len(slow_host.asked())
                begins.set()

        async with (
            listening(plain, SLOW[0], wait=hold) as slow_host,
            listening(quick, QUICK[0], slow_host.port, wait=watch) as quick_host,
        ):
            named = {"state_dir": settings.state_dir, "database_url": settings.database_url}
            limits = {"site_connections": 50, "site_connections_per_minute": 6000, "session_addresses": 1}
            ours = load_settings(
                **named, **limits, smtp_port=slow_host.port, reply_timeout_seconds=20, helo_unchecked=True
            )
            summaries = await asyncio.to_thread(verify_lanes, ours, [LANE])
            return summaries[0], asked_before

    return asyncio.run(main())


def test_a_slow_site_leaves_room_for_the_others(settings: Settings) -> None:
    fill(settings, slow_count=60, quick_count=60)
    summary, asked_before = verify(settings, plain, lambda quick: len(quick.asked()) == 60)
    assert summary.reasons == {Reason.MAILBOX_NOT_FOUND: 120}
    assert asked_before <= AT_ONCE // 2


def test_what_falls_due_while_a_slow_site_is_at_work_is_asked_meanwhile(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_run, "SWEEP_AGAIN_SECONDS", 0.2)
    fill(settings, slow_count=1, quick_count=2, later="b1.test")
    summary, _ = verify(settings, plain, lambda quick: len(quick.asked()) == 2)
    assert summary.reasons == {Reason.MAILBOX_NOT_FOUND: 3}


def test_a_site_of_which_a_batch_came_to_nothing_is_asked_again_while_the_run_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All connections are in use by the first batch when it is told that we ask too much; the second one, which waited
    for them, comes to nothing."""
    monkeypatch.setattr(lane_run, "SWEEP_AGAIN_SECONDS", 0.2)
    monkeypatch.setitem(pace.COOL_DOWN_SECONDS, Reason.RATE_LIMITED, (1,))
    refused = 0

    def asked_too_much(command: str) -> list[bytes]:
        nonlocal refused
        if command.startswith("RCPT") and refused < 1:
            refused += 1
            return [b"450 4.7.1 Error: too many recipients from 127.0.0.1\r\n", HANG_UP]
        return plain(command)

    fill(settings, slow_count=1, quick_count=30)
    summary, _ = verify(settings, asked_too_much, lambda quick: len(set(quick.asked())) == 30)
    assert summary.reasons == {Reason.MAILBOX_NOT_FOUND: 30, Reason.RATE_LIMITED: 1}


def test_a_site_is_left_alone_only_while_none_of_its_batches_gets_on() -> None:
    async def main() -> list[bool]:
        async with listening(plain) as host:
            idle, busy = site_run(host.port, domain("a.test", [])), site_run(host.port, domain("b.test", ["dead"]))
            site = SiteAtWork()
            loop = asyncio.get_running_loop()
            site.batches.update((loop.create_future(), Batch([], is_asked=True, run=run)) for run in (idle, busy))
            seen = []
            await idle.run()
            site.learn_whether_to_go_on(0)
            seen.append(site.is_left_alone)
            await busy.run()
            for done in list(site.batches):  # what has turned out counts on when a batch is put away
                site.learn_whether_to_go_on(0)
                seen.append(site.is_left_alone)
                site.put_away(done)
            site.learn_whether_to_go_on(0)
            return [*seen, site.is_left_alone]

    assert asyncio.run(main()) == [True, False, False, False]
