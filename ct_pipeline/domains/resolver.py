"""Questions to DNS through dnspython's asynchronous resolver, answered with the types of :mod:`answers`.

No question raises: whatever goes wrong is an outcome. Every datagram leaves from a fresh port with a fresh id, an
answer that does not fit its question is ignored, a lost datagram is sent again, a truncated answer asked for over TCP.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.reversename

from ct_pipeline.domains.answers import AddressAnswer, MxAnswer, NamesAnswer, Outcome, join_addresses
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings

DNS_PORT = 53
# Fits an Ethernet frame and IPv6's smallest one: no fragments. DNS Flag Day 2020.
UDP_PAYLOAD_BYTES = 1232
TRIES_WITHIN_LIFETIME = 3  # so that one lost datagram, or two, do not cost the answer


@dataclass(slots=True)
class QueryTally:
    """DNS messages that were sent for one purpose."""

    count: int = 0


_tally: ContextVar[QueryTally | None] = ContextVar("tally", default=None)


@contextmanager
def tallied() -> Iterator[QueryTally]:
    """Counts the messages that are sent in this block, and by the tasks that it begins, however long they run."""
    tally = QueryTally()
    token = _tally.set(tally)
    try:
        yield tally
    finally:
        _tally.reset(token)


class DnsResolver:
    """Asks for MX, address and PTR records. ``query_count`` is the number of messages sent, repeats included.

    Raises:
        SettingsError: no nameserver is set and the operating system names none.
    """

    def __init__(self, settings: Settings) -> None:
        self.query_count = 0
        self._resolver = _build_resolver(settings, self._count_query)
        self._backend = dns.asyncbackend.get_default_backend()

    async def mx(self, domain: str) -> MxAnswer:
        answer = await self._ask(domain, dns.rdatatype.MX)
        if isinstance(answer, _Failure):
            return MxAnswer(answer.outcome, detail=answer.detail)
        ttl_seconds = answer.chaining_result.minimum_ttl
        if answer.rrset is None:
            return MxAnswer(Outcome.NO_RECORDS, ttl_seconds=ttl_seconds)
        records = tuple((rdata.preference, _host_text(rdata.exchange)) for rdata in answer.rrset)
        return MxAnswer(Outcome.RECORDS, records, ttl_seconds)

    async def addresses(self, host: str) -> AddressAnswer:
        """A and AAAA of ``host``. Where A failed, so has the question: most probers reach the world by IPv4 only."""
        ipv4 = await self._addresses(host, dns.rdatatype.A)
        # A name that does not exist has no records of any type: RFC 8020.
        if ipv4.outcome.is_temporary or ipv4.outcome is Outcome.NO_NAME:
            return ipv4
        return join_addresses(ipv4, await self._addresses(host, dns.rdatatype.AAAA))

    async def ipv4_addresses(self, host: str) -> AddressAnswer:
        """A of ``host`` alone."""
        return await self._addresses(host, dns.rdatatype.A)

    async def names_of(self, address: str) -> NamesAnswer:
        """The names that reverse DNS (PTR) gives ``address``."""
        answer = await self._ask(dns.reversename.from_address(address).to_text().rstrip("."), dns.rdatatype.PTR)
        if isinstance(answer, _Failure):
            return NamesAnswer(answer.outcome, detail=answer.detail)
        if answer.rrset is None:
            return NamesAnswer(Outcome.NO_RECORDS)
        return NamesAnswer(Outcome.RECORDS, tuple(_host_text(rdata.target) for rdata in answer.rrset))

    async def _addresses(self, host: str, kind: dns.rdatatype.RdataType) -> AddressAnswer:
        answer = await self._ask(host, kind)
        if isinstance(answer, _Failure):
            return AddressAnswer(answer.outcome, detail=answer.detail)
        ttl_seconds = answer.chaining_result.minimum_ttl
        if answer.rrset is None:
            return AddressAnswer(Outcome.NO_RECORDS, ttl_seconds=ttl_seconds)
        return AddressAnswer(Outcome.RECORDS, tuple(rdata.address for rdata in answer.rrset), ttl_seconds)

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> "dns.resolver.Answer | _Failure":
        try:
            return await self._resolver.resolve(
                _absolute_name(name), kind, raise_on_no_answer=False, search=False, backend=self._backend
            )
        except Exception as error:  # one name's trouble, of whatever kind, never stops the others
            return failure_of(error)

    def _count_query(self) -> None:
        self.query_count += 1
        if (tally := _tally.get()) is not None:
            tally.count += 1


class _Failure:
    __slots__ = ("detail", "outcome")

    def __init__(self, outcome: Outcome, detail: str) -> None:
        self.outcome = outcome
        self.detail = detail


def failure_of(error: Exception) -> _Failure:
    """What an exception of dnspython, or of the sockets below it, says of the question."""
    match error:
        case dns.resolver.NXDOMAIN():
            return _Failure(Outcome.NO_NAME, "DNS knows no such name")
        case dns.name.LabelTooLong() | dns.name.EmptyLabel() | dns.name.NameTooLong() | UnicodeError():
            return _Failure(Outcome.NO_NAME, "DNS cannot hold such a name")
        case dns.exception.Timeout():
            return _Failure(Outcome.TIMEOUT, "no nameserver answered in time")
        case dns.resolver.NoNameservers():
            return _Failure(Outcome.SERVER_FAILURE, _what_nameservers_said(error))
        case _:
            return _Failure(Outcome.SERVER_FAILURE, f"{type(error).__name__}: {error}")


def _what_nameservers_said(error: dns.resolver.NoNameservers) -> str:
    """``127.0.0.1 answered SERVFAIL``: the last word of each nameserver."""
    said: dict[str, str] = {}
    for server, _tcp, _port, what, _response in error.kwargs.get("errors", ()):
        word = f"{type(what).__name__} {what}".rstrip() if isinstance(what, Exception) else f"answered {what}"
        said[_address_of(server)] = word
    return "; ".join(f"{server} {word}" for server, word in said.items()) or "no nameserver could answer"


def _address_of(server: str) -> str:
    return server.partition(":")[2] or server


def _absolute_name(name: str) -> dns.name.Name:
    """Straight from the labels: ``dns.name.from_text`` would read backslashes and re-encode IDNs."""
    return dns.name.Name([label.encode("ascii") for label in name.split(".")] + [b""])


def _host_text(name: dns.name.Name) -> str:
    """Lower case, without the final dot, anything unprintable escaped; ``""`` for the root."""
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True).lower()


def _build_resolver(settings: Settings, on_query: Callable[[], None]) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=False)
    endpoints = settings.nameserver_endpoints or operating_system_endpoints()
    resolver.nameservers = [_CountedNameserver(address, port, on_query) for address, port in endpoints]
    resolver.lifetime = settings.dns_timeout_seconds
    resolver.timeout = resolver.lifetime / max(TRIES_WITHIN_LIFETIME, len(endpoints) + 1)
    resolver.use_edns(0, 0, UDP_PAYLOAD_BYTES)
    return resolver


def operating_system_endpoints(resolv_conf: str = "/etc/resolv.conf") -> tuple[tuple[str, int], ...]:
    """(ip, port) of each resolver that the operating system names.

    Raises:
        SettingsError: it names none.
    """
    try:
        found = dns.resolver.Resolver(resolv_conf).nameservers
    except (dns.resolver.NoResolverConfiguration, OSError) as error:
        raise SettingsError(
            f"No DNS resolver: {resolv_conf} names none ({error}). Set CT_NAMESERVERS to the address of one."
        ) from error
    return tuple((str(address), DNS_PORT) for address in found)


class _CountedNameserver(dns.nameserver.Do53Nameserver):
    def __init__(self, address: str, port: int, on_query: Callable[[], None]) -> None:
        super().__init__(address, port)
        self._on_query = on_query

    async def async_query(self, *args: Any, **options: Any) -> dns.message.Message:
        self._on_query()
        return await super().async_query(*args, **options)
