"""How fast one site is asked from one egress, and whether it may be asked at all. Pure; ``now`` is passed in.

**Limits** are upper bounds: connections at once, connections a minute, addresses a second. A **share** of them is in
use. It starts low, grows by one connection for each round of clean answers, and is halved by signs of strain: 421,
4.3.2, 4.7.x other than greylisting, refused connections. Postfix adapts its concurrency to a destination likewise
(SCHEDULER_README). A **ceiling** is how many connections the site bore when it refused one more.

A **breaker** opens when the site says that we are unwelcome. Until its time has come nothing is asked; then one short
session is a trial. A clean answer closes the breaker, another refusal opens it for longer.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.probe import Reply
from ct_pipeline.verification.site_memory import BreakerNote, SiteMemory
from ct_pipeline.verification.site_plan import SiteLimits
from ct_pipeline.vocabulary import Reason

FIRST_CONNECTIONS = 2
LEAST_SHARE = 0.02
ANSWERS_PER_ROUND = 5  # clean answers per connection, after which one more is allowed
ONE_STRAIN = timedelta(seconds=5)  # replies that come together are one sign, not many
CEILING_FRESH_FOR = timedelta(hours=6)
PIPELINING_BROKEN_FOR = timedelta(days=30)  # hosts are mended and replaced; to find out costs one session
CONNECTION_BURST = 20
MAX_KNOCKS = 3  # refused connections in a row that are taken for "too many" although no other of ours is open
TRIAL_ADDRESSES = 5

MINUTE = 60
HOUR = 60 * MINUTE

# The n-th wait follows the n-th opening in a row. KumoMTA's shaping.toml (3ebc1e85) suspends for 15 minutes to 4 hours.
COOL_DOWN_SECONDS: dict[Reason, tuple[int, ...]] = {
    Reason.RATE_LIMITED: (2 * MINUTE, 10 * MINUTE, 30 * MINUTE, 2 * HOUR, 8 * HOUR),
    Reason.PROBER_BLOCKED: (2 * HOUR, 8 * HOUR, 24 * HOUR, 72 * HOUR),
    Reason.SENDER_REFUSED: (4 * HOUR, 24 * HOUR, 72 * HOUR),
    Reason.TLS_OR_LOGIN_REQUIRED: (24 * HOUR, 72 * HOUR),
}
_OTHER_COOL_DOWN = COOL_DOWN_SECONDS[Reason.PROBER_BLOCKED]
_OBEYED_HINT = 24 * HOUR


@dataclass(slots=True)
class _Bucket:
    """Lets ``rate`` things a second pass, and ``burst`` at once. It may fall into debt: the next ones wait for it."""

    full_at: datetime  # when nothing of what passed counts any more

    def take(self, count: int, rate: float, now: datetime) -> None:
        self.full_at = max(self.full_at, now) + timedelta(seconds=count / rate)

    def delay(self, rate: float, burst: float, now: datetime) -> float:
        """Seconds until one more may pass."""
        return max(0.0, (self.full_at - now).total_seconds() - (burst - 1) / rate)


class SitePace:
    """The pace of one (egress, site), shared by all that is asked of it at a time."""

    def __init__(
        self, egress: str, site: str, lane: str, limits: SiteLimits, now: datetime, memory: SiteMemory | None = None
    ) -> None:
        self.limits = limits
        self.live_sessions = 0  # dialled, and not closed by the host yet
        self._greeted: Counter[str] = Counter()  # of these, those that came about, by the address dialled
        self._refused: Counter[str] = Counter()  # connections since the last one that came about, by address
        self._not_before = now
        self.memory = memory or SiteMemory(
            egress, site, lane, updated_at=now, share=min(1.0, FIRST_CONNECTIONS / limits.connections)
        )
        self.has_changed = False
        self._clean_count = 0  # since the share changed
        self._strained_at: datetime | None = None
        self._connections = _Bucket(now)
        self._addresses = _Bucket(now)

    @property
    def breaker(self) -> BreakerNote | None:
        return self.memory.breaker

    def is_open(self, now: datetime) -> bool:
        """Nothing may be asked now."""
        return self.breaker is not None and now < self.breaker.until_at

    @property
    def session_addresses(self) -> int:
        """The most addresses of one session."""
        most = self.limits.session_addresses
        return most if self.breaker is None else min(most, TRIAL_ADDRESSES)

    def bears_pipelining(self, now: datetime) -> bool:
        """Whether its hosts are taken at their word when they offer it; after some weeks they are again."""
        at = self.memory.pipelining_broken_at
        return at is None or now - at >= PIPELINING_BROKEN_FOR

    def connections(self, now: datetime) -> int:
        """The most connections at once."""
        if self.breaker is not None:
            return 1
        most = math.floor(self.limits.connections * self.memory.share + 1e-9)
        if self.memory.ceiling is not None and not self._has_outlived_ceiling(now):
            most = min(most, self.memory.ceiling)
        return max(1, most)

    def may_connect(self, now: datetime) -> bool:
        """Whether the site bears one more connection; :meth:`connect_delay` says when."""
        return not self.is_open(now) and self.live_sessions < self.connections(now)

    def connect_delay(self, now: datetime) -> float:
        """Seconds until the next connection may be opened."""
        by_rate = self._connections.delay(self.limits.connections_per_minute / MINUTE, CONNECTION_BURST, now)
        return max(by_rate, (self._not_before - now).total_seconds())

    def address_delay(self, now: datetime) -> float:
        """Seconds until the next address may be asked about."""
        if now >= self._addresses.full_at:
            return 0.0
        return self._addresses.delay(self._address_rate, self.session_addresses, now)

    # -- what happens ---

    def connect(self, now: datetime) -> None:
        """A session is begun, and its first host is dialled."""
        self.live_sessions += 1
        self.connect_again(now)

    def connect_again(self, now: datetime) -> None:
        """The same session dials once more: another host, or the same one without TLS."""
        self._connections.take(1, self.limits.connections_per_minute / MINUTE, now)

    def greeted(self, address: str) -> None:
        """The session that was dialled has come about, at ``address``."""
        self._greeted[address] += 1
        del self._refused[address]

    def left(self, address: str) -> None:
        """It has ended, at ``address``; :meth:`closed` follows."""
        self._greeted[address] -= 1

    def closed(self) -> None:
        """A dialled session has ended, or come to nothing."""
        self.live_sessions -= 1

    def is_only_full(self, addresses: Iterable[str]) -> bool:
        """Whether a host at ``addresses`` that refused a connection has only had too many of ours.

        It has if it talks to another session; or has talked to one, and may not have taken it off its count yet.
        """
        met = [address for address in addresses if address in self._greeted]
        return any(self._greeted[address] or self._refused[address] < MAX_KNOCKS for address in met)

    def ask(self, count: int, now: datetime) -> None:
        """``count`` addresses were asked about."""
        if count:
            self._addresses.take(count, self._address_rate, now)

    def clean(self, count: int, now: datetime) -> None:
        """``count`` answers came without any sign of strain."""
        if self.breaker is not None and not self.is_open(now):
            self._remember(now, breaker=None)  # before its time, the answer is of a session that was begun earlier
        self._clean_count += count
        while self.memory.share < 1.0 and self._clean_count >= (needed := ANSWERS_PER_ROUND * self.connections(now)):
            self._clean_count -= needed  # answers are proven many at a time, and may be more than one round
            self._remember(now, share=min(1.0, self.memory.share + 1 / self.limits.connections))

    def strain(self, now: datetime) -> None:
        """The site has trouble, or enough of us: half of it all."""
        if self._strained_at is not None and now - self._strained_at < ONE_STRAIN:
            return
        self._strained_at = now
        self._clean_count = 0
        self._remember(now, share=max(LEAST_SHARE, self.memory.share / 2))

    def full(self, addresses: Iterable[str], now: datetime) -> None:
        """A host at ``addresses`` refused a connection because others were open: no more than these at once."""
        self.strain(now)
        met = [address for address in addresses if address in self._greeted]
        if any(self._greeted[address] for address in met):
            self._remember(now, ceiling=max(1, self._greeted.total()), ceiling_at=now)
            return
        self._refused.update(met)
        knocks = max((self._refused[address] for address in met), default=1)
        self._not_before = now + timedelta(seconds=2**knocks / 4)

    def unwelcome(self, reading: Reading, reply: Reply, now: datetime) -> BreakerNote:
        """The site wants none of us: the breaker opens, or is open already."""
        if self.breaker is not None and self.is_open(now):
            return self.breaker
        self.strain(now)
        before = self.breaker
        count = before.opened_count + 1 if before is not None else 1
        waits = COOL_DOWN_SECONDS.get(reading.reason, _OTHER_COOL_DOWN)
        seconds = waits[min(count, len(waits)) - 1]
        if reading.retry_seconds is not None:
            seconds = max(seconds, min(reading.retry_seconds, _OBEYED_HINT))
        note = BreakerNote(reading.reason, reply.text, now, now + timedelta(seconds=seconds), count)
        self._remember(now, breaker=note)
        return note

    def learn(
        self,
        now: datetime,
        *,
        is_pipelining_broken: bool = False,
        prefers_other_sender: bool | None = None,
        is_cautious: bool | None = None,
    ) -> None:
        """Keep a habit of its hosts in mind; None leaves it as it is. Broken pipelining is forgotten in time."""
        if is_pipelining_broken and self.bears_pipelining(now):
            self._remember(now, pipelining_broken_at=now)
        if prefers_other_sender not in (None, self.memory.prefers_other_sender):
            self._remember(now, prefers_other_sender=prefers_other_sender)
        if is_cautious not in (None, self.memory.is_cautious):
            self._remember(now, is_cautious=is_cautious)

    def take_memory(self) -> SiteMemory | None:
        """What the ledger does not know yet, or None."""
        has_changed, self.has_changed = self.has_changed, False
        return self.memory if has_changed else None

    @property
    def _address_rate(self) -> float:
        return max(1.0, self.limits.addresses_per_second * self.memory.share)

    def _has_outlived_ceiling(self, now: datetime) -> bool:
        at = self.memory.ceiling_at
        return at is None or now - at >= CEILING_FRESH_FOR

    def _remember(self, now: datetime, **news: object) -> None:
        self.memory = replace(self.memory, updated_at=now, **news)
        self.has_changed = True


def is_strain(reply: Reply, reading: Reading) -> bool:
    """Whether ``reply`` says that the host has trouble, or enough of us, rather than something of an address."""
    if reply.code == 421:
        return True
    enhanced = reply.enhanced or ""
    return reading.reason is not Reason.GREYLISTED and (enhanced == "4.3.2" or enhanced.startswith("4.7."))
