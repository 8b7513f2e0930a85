"""The receiving end of a transport: whole SMTP replies as they come, and whether more came than were asked for."""

import asyncio

from ct_pipeline.verification.reply_parser import MAX_REPLY_BYTES, NotSmtpError, RawReply, ReplyParser

_MAX_SEGMENT_BYTES = 4 * MAX_REPLY_BYTES


class ReplyStream(asyncio.Protocol):
    """Give it to a transport with ``set_protocol``.

    Bounded: it holds the replies that are awaited and what one read brought beyond them. What comes after a surplus
    reply is not even parsed.
    """

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self._parser = ReplyParser()
        self._replies: list[RawReply] = []
        self._awaited_count = 0
        self._fault: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._deadline = 0.0  # of the reply that is awaited, in the loop's time

    def expect(self, count: int) -> None:
        """That many commands have been sent."""
        self._awaited_count += count

    def data_received(self, data: bytes) -> None:
        if self._fault is not None or len(self._replies) > self._awaited_count:
            return
        try:
            self._replies += self._parser.feed(data[:_MAX_SEGMENT_BYTES])
        except NotSmtpError as error:
            self._replies += error.replies
            self._fault = error
        if len(data) > _MAX_SEGMENT_BYTES:
            self._fault = NotSmtpError("more than any reply is long")
        self._wake()

    def eof_received(self) -> bool:
        return False  # closes the transport; connection_lost follows

    def connection_lost(self, exc: Exception | None) -> None:
        self._fault = self._fault or ConnectionResetError(str(exc or "the host closed the connection"))
        self.closed.set()
        self._stop_watching()
        self._wake()

    async def next_replies(self, seconds: float) -> list[RawReply]:
        """All replies that have come since the last call, at least one.

        Raises:
            TimeoutError: none has come whole within ``seconds``.
            ConnectionError: the connection ended.
            NotSmtpError: the host does not talk SMTP.
        """
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + seconds  # of a whole reply, however many pieces it comes in
        while not self._replies:
            if self._fault is not None:
                raise self._fault
            if self._watchdog is None or self._watchdog.when() > self._deadline:
                self._watch(loop, self._deadline)
            self._waiter = loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        replies, self._replies = self._replies, []
        self._awaited_count -= len(replies)
        return replies

    # One timer for a session, set anew when it rings too early: one for each reply would cost as much as the reply.

    def _watch(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        self._stop_watching()
        self._watchdog = loop.call_at(until, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watchdog = None
        if self._waiter is None or self._waiter.done():
            return
        if loop.time() < self._deadline:
            self._watch(loop, self._deadline)
        else:
            self._waiter.set_exception(TimeoutError())

    def _stop_watching(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None

    def has_surplus(self) -> bool:
        """Whether bytes have come that answer no command; true also for half a reply."""
        return bool(self._replies) or not self._parser.is_idle or isinstance(self._fault, NotSmtpError)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
