"""Looks up many domains at once: bounded in flight, each mail host asked for once a run."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Self

from ct_pipeline.domains.answers import AddressAnswer, facts_from_answers, hosts_to_ask
from ct_pipeline.domains.facts import DomainFacts
from ct_pipeline.domains.providers import Providers
from ct_pipeline.domains.resolver import DnsResolver, tallied
from ct_pipeline.settings import Settings

# Mail hosts remembered; a list of any size needs few, since small domains share their hosters' hosts.
REMEMBERED_HOSTS = 100_000
# A long run must not hand out addresses of hours ago: as long as the shortest time that facts are kept.
REMEMBERED_FOR_SECONDS = 3600
CANCELLED_AGAIN_SECONDS = 0.05


class DomainLookup:
    """Facts of domains, by DNS. Use it as ``async with DomainLookup(...) as lookup``, within one event loop.

    ``query_count`` is the number of DNS messages sent so far.

    Raises:
        SettingsError: there is no DNS resolver to ask.
    """

    def __init__(self, settings: Settings, providers: Providers) -> None:
        self._providers = providers
        self._allowed = settings.networks
        self._concurrency = settings.dns_concurrency
        self._resolver = DnsResolver(settings)
        self._hosts: dict[str, tuple[float, asyncio.Task[AddressAnswer]]] = {}
        self._running: set[asyncio.Task[AddressAnswer]] = set()
        self._questions = asyncio.Semaphore(settings.dns_concurrency)

    @property
    def query_count(self) -> int:
        return self._resolver.query_count

    async def look_up(self, domain: str, now: datetime) -> DomainFacts:
        """Facts of one normalized domain. A DNS failure is told in the facts, never raised.

        Messages about a mail host that several domains share are counted with the domain that asked first.
        """
        with tallied() as sent:
            async with self._questions:
                mx = await self._resolver.mx(domain)
            mx_query_count = sent.count
            names = hosts_to_ask(domain, mx)
            if len(names) == 1:
                answers = [await self._addresses(names[0])]
            else:
                answers = await asyncio.gather(*map(self._addresses, names))
        facts = facts_from_answers(
            domain,
            mx,
            dict(zip(names, answers, strict=True)),
            providers=self._providers,
            allowed=self._allowed,
            now=now,
        )
        return replace(facts, query_count=sent.count, mx_query_count=mx_query_count)

    async def look_up_many(self, domains: Iterable[str], now: datetime) -> AsyncGenerator[DomainFacts]:
        """Facts of each of ``domains``, as they are found (not in order). ``domains`` is read as places become free."""
        names = iter(domains)
        # Bounded: a reader that writes slowly slows the look-ups, instead of letting the facts pile up.
        found: asyncio.Queue[DomainFacts | Exception | None] = asyncio.Queue(maxsize=self._concurrency)

        async def work() -> None:
            try:
                for domain in names:
                    await found.put(await self.look_up(domain, now))
            except Exception as error:  # handed to the reader, who raises it
                await found.put(error)
            await found.put(None)

        workers = [asyncio.create_task(work()) for _ in range(self._concurrency)]
        at_work = len(workers)
        try:
            while at_work:
                match await found.get():
                    case None:
                        at_work -= 1
                    case Exception() as error:
                        raise error
                    case facts:
                        yield facts
        finally:
            await _cancel(workers)

    async def close(self) -> None:
        """Ends what is still under way."""
        await _cancel(list(self._running))
        self._hosts.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _addresses(self, host: str) -> AddressAnswer:
        """Addresses of a mail host; whoever asks while the answer is under way waits for the same answer."""
        clock = asyncio.get_running_loop().time
        asked_at, asking = self._hosts.get(host, (0.0, None))
        if asking is None or clock() - asked_at > REMEMBERED_FOR_SECONDS:
            asking = asyncio.create_task(self._ask_addresses(host))
            self._running.add(asking)
            asking.add_done_callback(self._running.discard)
            self._hosts[host] = (clock(), asking)
            if len(self._hosts) > REMEMBERED_HOSTS:
                del self._hosts[next(iter(self._hosts))]
        # Shielded: one look-up that is cancelled must not take the answer from the others.
        return await asyncio.shield(asking)

    async def _ask_addresses(self, host: str) -> AddressAnswer:
        async with self._questions:
            answer = await self._resolver.addresses(host)
        if answer.outcome.is_temporary:
            # Not remembered: a passing failure of one large provider's host would spoil all of its domains.
            self._hosts.pop(host, None)
        return answer


async def _cancel(tasks: list[asyncio.Task]) -> None:
    """Cancel until they have ended: Python 3.11's ``wait_for``, which dnspython uses, can lose a cancellation that
    comes together with the answer (https://github.com/python/cpython/issues/86296)."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=CANCELLED_AGAIN_SECONDS)
        await asyncio.gather(*ended, return_exceptions=True)
