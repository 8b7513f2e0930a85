"""The mail hosts: one listener per machine, each on its own loopback address, all on one port."""

import asyncio
import itertools
import ssl
import time
from collections.abc import Iterable, Sequence

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.behaviours import Accepts, MailboxBehaviour
from ct_pipeline.sandbox.certificate import self_signed_context
from ct_pipeline.sandbox.command_log import CommandLog
from ct_pipeline.sandbox.mail_dialogue import Answer, Greylist, Hosted, MailDialogue
from ct_pipeline.sandbox.population import Inhabitants, Mailbox, MailDomain, MailHost, serving_hosts
from ct_pipeline.sandbox.reply_styles import reply_styles

IDLE_SECONDS = 300  # RFC 5321 section 4.5.3.2.7: a server waits at least 5 minutes for a command
LONGEST_LINE_BYTES = 4096
BACKLOG = 1024
PORT_ATTEMPTS = 20


class MailHosts:
    """Runs the mail hosts of ``inhabitants`` between ``start`` and ``stop``; port 0 takes one that is free for all.

    Each reply leaves ``reply_seconds`` after its command came.
    """

    def __init__(
        self,
        inhabitants: Inhabitants,
        log: CommandLog,
        *,
        port: int,
        greylist_seconds: float = 20,
        reply_seconds: float = 0,
    ) -> None:
        self.port = port
        self._reply_seconds = reply_seconds
        self._machines = _machines(inhabitants, greylist_seconds)
        self._log = log
        self._servers: list[asyncio.Server] = []
        self._sessions: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)

    @property
    def machine_count(self) -> int:
        """Machines that listen."""
        return len(self._machines)

    async def start(self) -> None:
        """Raises SettingsError when the port is taken on one of the addresses."""
        tls_names = [machine.host.host for machine in self._machines if machine.host.does.offers_starttls]
        context = self_signed_context(tls_names[0]) if tls_names else None
        attempts = 1 if self.port else PORT_ATTEMPTS
        wanted = self.port
        for attempt in range(attempts):
            address = ""
            try:
                for machine in self._machines:
                    address = machine.host.address
                    await self._listen(machine, context)
            except OSError as error:
                self._close_listeners()
                if attempt == attempts - 1:
                    raise SettingsError(
                        f"--smtp-port {self.port} on {address}: {error.strerror or error}. "
                        f"Choose another port, or 0 for any free one."
                    ) from None
                self.port = wanted
            else:
                return

    async def stop(self) -> None:
        self._close_listeners()
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports say that they are closed

    async def _listen(self, machine: "_Machine", context: ssl.SSLContext | None) -> None:
        tls = context if machine.host.does.offers_starttls else None

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(machine, tls, reader, writer)

        server = await asyncio.start_server(
            serve, machine.host.address, self.port, backlog=BACKLOG, limit=LONGEST_LINE_BYTES
        )
        self._servers.append(server)
        self.port = server.sockets[0].getsockname()[1]

    def _close_listeners(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _serve(
        self,
        machine: "_Machine",
        tls: ssl.SSLContext | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        number = next(self._numbers)
        client = writer.get_extra_info("peername")[0]
        dialogue = machine.dialogue(number, client, offers_tls=tls is not None)
        try:
            await self._converse(machine.host.host, number, dialogue, tls, reader, writer)
        except (ConnectionError, TimeoutError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone or is too slow, or the sandbox ends: there is nothing left to say
        finally:
            self._sessions.discard(task)
            writer.close()

    async def _converse(
        self,
        host: str,
        number: int,
        dialogue: MailDialogue,
        tls: ssl.SSLContext | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        answer = dialogue.greet()
        self._note(host, number, answer)
        if answer is None:
            async with asyncio.timeout(IDLE_SECONDS):
                await reader.read()
            return
        writer.write(answer.to_wire())
        while not answer.closes:
            await writer.drain()
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    line = await reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                writer.write(b"500 5.5.2 Error: line too long\r\n")
                break
            if self._reply_seconds:
                await asyncio.sleep(self._reply_seconds)
            answer = dialogue.receive(line)
            self._note(host, number, answer)
            writer.write(answer.to_wire())
            if answer.starts_tls and tls is not None:
                await writer.start_tls(tls)
        await writer.drain()

    def _note(self, host: str, session: int, answer: Answer | None) -> None:
        if answer is None:
            self._log.add(host, session, "CONNECT", "", 0)
        else:
            self._log.add(host, session, answer.command, answer.address, answer.code, offence=answer.offence)


class _Machine:
    """All names with one address: what is hosted there, and the greylist they share."""

    def __init__(self, host: MailHost, hosted: dict[str, Hosted], greylist_seconds: float) -> None:
        self.host = host
        self._hosted = hosted
        self._greylist = Greylist(greylist_seconds, time.monotonic)
        self._style = reply_styles()[host.style]

    def dialogue(self, session: int, client: str, *, offers_tls: bool) -> MailDialogue:
        return MailDialogue(
            self.host, self._style, self._hosted, self._greylist, session=session, client=client, offers_tls=offers_tls
        )


def _machines(inhabitants: Inhabitants, greylist_seconds: float) -> list[_Machine]:
    first_names: dict[str, MailHost] = {}
    for host in inhabitants.hosts:
        first = first_names.setdefault(host.address, host)
        if (first.behaviour, first.style) != (host.behaviour, host.style):
            raise SettingsError(f"{host.host} and {first.host} share {host.address} and must behave alike")
        if host.style not in reply_styles():
            raise SettingsError(f"{host.host}: {host.style!r} is no style; one of {', '.join(reply_styles())}")
    hosted = _hosted_by_domain(inhabitants.domains, inhabitants.mailboxes)
    addresses = {host.host: host.address for host in inhabitants.hosts}
    by_address: dict[str, dict[str, Hosted]] = {address: {} for address in first_names}
    domains = {domain.domain: domain for domain in inhabitants.domains}
    for domain in inhabitants.domains:
        for name in serving_hosts(domain, domains):
            if domain.accepts is not Accepts.NOTHING:
                by_address[addresses[name]][domain.domain] = hosted[domain.domain]
    return [
        _Machine(host, by_address[address], greylist_seconds)
        for address, host in first_names.items()
        if host.does.listens
    ]


def _hosted_by_domain(domains: Sequence[MailDomain], mailboxes: Iterable[Mailbox]) -> dict[str, Hosted]:
    directories: dict[str, dict[str, MailboxBehaviour]] = {domain.domain: {} for domain in domains}
    for mailbox in mailboxes:
        directories.setdefault(mailbox.domain, {})[mailbox.address.lower()] = mailbox.behaviour
    return {
        domain.domain: Hosted(domain.accepts is Accepts.EVERY_NAME, directories[domain.domain]) for domain in domains
    }
