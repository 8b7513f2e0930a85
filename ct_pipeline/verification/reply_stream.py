"""The receiving end of a transport: whole SMTP replies as they come, and whether more came than were asked for."""

import asyncio
from collections.abc import Callable

from ct_pipeline.verification.reply_parser import MAX_REPLY_BYTES, NotSmtpError, RawReply, ReplyParser

_MAX_SEGMENT_BYTES = 4 * MAX_REPLY_BYTES


class ReplyStream(asyncio.Protocol):
    """The protocol of a session's transport.

    Bounded: it holds the replies that are awaited and what one read brought beyond them. What comes after a surplus
    reply is not even parsed.
    """

    def __init__(self) -> None:
        self.is_closed = False  # the connection has ended
        self._parser = ReplyParser()
        self._replies: list[RawReply] = []
        self._awaited_count = 0
        self._fault: Exception | None = None
        self._hear: Callable[[list[RawReply]], float] | None = None
        self._waiter: asyncio.Future[bool] | None = None  # whether enough has been heard
        self._watchdog: asyncio.TimerHandle | None = None
        self._deadline = 0.0  # of the reply that is awaited, in the loop's time

    def expect(self, count: int) -> None:
        """That many commands have been sent."""
        self._awaited_count += count

    async def listen(self, hear: Callable[[list[RawReply]], float], seconds: float) -> None:
        """Call ``hear`` with all replies that have come, at least one, until it returns 0.

        It is called where the bytes come in, and must not raise: to wake a task for each reply would cost a fifth of
        what a reply costs. It returns for how many seconds the next whole reply is waited for, however many pieces that
        comes in; the first one has ``seconds``.

        Raises:
            TimeoutError: none has come whole in that time.
            ConnectionError: the connection ended.
            NotSmtpError: the host does not talk SMTP.
        """
        loop = asyncio.get_running_loop()
        is_over = False
        while not is_over:
            if self._replies:
                seconds = hear(self._take())
                is_over = seconds <= 0
            elif self._fault is not None:
                raise self._fault
            else:
                self._give_time(loop, seconds)
                self._hear, self._waiter = hear, loop.create_future()
                try:
                    is_over = await self._waiter
                finally:
                    self._hear = self._waiter = None

    async def until_closed(self, seconds: float) -> None:
        """Wait, but not beyond the end of the connection."""
        if self.is_closed:
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self.is_closed:
            self._give_time(loop, until - loop.time())
            self._waiter = loop.create_future()
            try:
                await self._waiter
            except TimeoutError:
                return
            finally:
                self._waiter = None

    def has_surplus(self) -> bool:
        """Whether bytes have come that answer no command; true also for half a reply."""
        return bool(self._replies) or not self._parser.is_idle or isinstance(self._fault, NotSmtpError)

    # -- what the transport says ---

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
        if self._fault is not None:
            self._wake()
        elif self._replies and self._hear is not None and self._waiter is not None and not self._waiter.done():
            self._go_on(self._hear, self._waiter)

    def eof_received(self) -> bool:
        return False  # closes the transport; connection_lost follows

    def connection_lost(self, exc: Exception | None) -> None:
        self._fault = self._fault or ConnectionResetError(str(exc or "the host closed the connection"))
        self.is_closed = True
        self._stop_watching()
        self._wake()

    def _go_on(self, hear: Callable[[list[RawReply]], float], waiter: asyncio.Future[bool]) -> None:
        seconds = hear(self._take())
        if seconds > 0:
            self._give_time(waiter.get_loop(), seconds)
        else:
            waiter.set_result(True)

    def _take(self) -> list[RawReply]:
        replies, self._replies = self._replies, []
        self._awaited_count -= len(replies)
        return replies

    def _wake(self) -> None:
        """Let whoever waits look at what has come."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)

    # -- one timer for a session, set anew when it rings too early, since one for each reply would cost too much ---

    def _give_time(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._deadline = loop.time() + seconds
        if self._watchdog is None or self._watchdog.when() > self._deadline:
            self._watch(loop, self._deadline)

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
