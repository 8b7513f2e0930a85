"""A DNS server on one loopback address that answers from a :data:`~ct_pipeline.sandbox.zones.Zone`, over UDP and TCP.

To the asking side it looks like a recursive resolver: it follows CNAMEs, and says NXDOMAIN, no data (with a SOA),
SERVFAIL, or nothing at all.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.zones import SERVFAIL, SILENT

TTL_SECONDS = 300
PLAIN_UDP_BYTES = 512  # RFC 1035 section 4.2.1, for a client without EDNS
OUR_UDP_BYTES = 1232  # what dnsflagday.net/2020 recommends
LONGEST_CNAME_CHAIN = 8
PORT_ATTEMPTS = 20

Records = dict[dns.rdatatype.RdataType, dns.rrset.RRset]


class DnsServer:
    """Serves ``zone`` on ``address``:``port`` between ``start`` and ``stop``; port 0 takes a free one."""

    def __init__(self, zone: Mapping[str, Sequence[str]], address: str = "127.77.0.1", port: int = 5353) -> None:
        self.address = address
        self.port = port
        self.query_count = 0
        self._answers = _Answers(zone)
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises SettingsError when the port is taken."""
        attempts = 1 if self.port else PORT_ATTEMPTS
        for attempt in range(attempts):
            try:
                await self._bind()
            except OSError as error:
                if attempt == attempts - 1:
                    raise SettingsError(
                        f"--dns {self.address}:{self.port}: {error.strerror or error}. "
                        f"Choose another port, or {self.address}:0 for any free one."
                    ) from None
            else:
                return

    async def stop(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports say that they are closed

    def answer(self, wire: bytes, *, over_tcp: bool) -> bytes | None:
        """The response to one query, or None when there is none."""
        self.query_count += 1
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        response = self._answers.to(query)
        if response is None:
            return None
        if over_tcp:
            return response.to_wire(max_size=65535)
        limit = min(query.payload, OUR_UDP_BYTES) if query.edns >= 0 else PLAIN_UDP_BYTES
        return response.to_wire(max_size=max(limit, PLAIN_UDP_BYTES), prefer_truncation=True)

    async def _bind(self) -> None:
        tcp = await asyncio.start_server(self._converse, self.address, self.port)
        port = tcp.sockets[0].getsockname()[1]
        try:
            self._udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _UdpAnswers(self), local_addr=(self.address, port)
            )
        except OSError:
            tcp.close()
            raise
        self._tcp, self.port = tcp, port

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                wire = self.answer(await reader.readexactly(length), over_tcp=True)
                if wire is not None:
                    writer.write(len(wire).to_bytes(2, "big") + wire)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the sandbox ends: either way there is nothing left to say
        finally:
            self._conversations.discard(task)
            writer.close()


class _UdpAnswers(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # asyncio's own does not inherit from it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        wire = self._server.answer(data, over_tcp=False)
        if wire is not None and self._transport is not None:
            self._transport.sendto(wire, addr)


class _Answers:
    """The zone, parsed, and how a question is answered from it (no I/O)."""

    def __init__(self, zone: Mapping[str, Sequence[str]]) -> None:
        self._records: dict[dns.name.Name, Records] = {}
        self._failing: set[dns.name.Name] = set()
        self._silent: set[dns.name.Name] = set()
        self._above: set[dns.name.Name] = set()  # names that exist only because something lies below them (RFC 8020)
        for text, lines in zone.items():
            name = dns.name.from_text(text)
            if SERVFAIL in lines:
                self._failing.add(name)
            elif SILENT in lines:
                self._silent.add(name)
            else:
                self._records[name] = _parse(name, lines)
            while name != dns.name.root:
                name = name.parent()
                self._above.add(name)

    def to(self, query: dns.message.Message) -> dns.message.Message | None:
        response = dns.message.make_response(query, recursion_available=True, our_payload=OUR_UDP_BYTES)
        if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            response.set_rcode(dns.rcode.NOTIMP)
            return response
        question = query.question[0]
        name = question.name.canonicalize()
        for _ in range(LONGEST_CNAME_CHAIN):
            if name in self._silent:
                return None
            if name in self._failing:
                response.set_rcode(dns.rcode.SERVFAIL)
                return response
            records = self._records.get(name)
            if records is None:
                self._deny(response, name, exists=name in self._above)
                return response
            if question.rdtype in records:
                response.answer.append(records[question.rdtype])
                return response
            alias = records.get(dns.rdatatype.CNAME)
            if alias is None:
                self._deny(response, name, exists=True)
                return response
            response.answer.append(alias)
            name = alias[0].target.canonicalize()  # pyright: ignore[reportAttributeAccessIssue]
        response.set_rcode(dns.rcode.SERVFAIL)
        return response

    def _deny(self, response: dns.message.Message, name: dns.name.Name, *, exists: bool) -> None:
        if not exists:
            response.set_rcode(dns.rcode.NXDOMAIN)
        zone = dns.name.Name(name.labels[-2:]) if len(name) > 1 else name  # the top-level domain stands for its zone
        soa = f"ns.{zone} hostmaster.{zone} 1 3600 600 86400 {TTL_SECONDS}"
        response.authority.append(dns.rrset.from_text(zone, TTL_SECONDS, dns.rdataclass.IN, dns.rdatatype.SOA, soa))


def _parse(name: dns.name.Name, lines: Sequence[str]) -> Records:
    by_type: dict[dns.rdatatype.RdataType, list[str]] = {}
    for line in lines:
        type_text, _, data = line.partition(" ")
        by_type.setdefault(dns.rdatatype.from_text(type_text), []).append(data)
    return {
        rdtype: dns.rrset.from_text_list(name, TTL_SECONDS, dns.rdataclass.IN, rdtype, texts)
        for rdtype, texts in by_type.items()
    }
