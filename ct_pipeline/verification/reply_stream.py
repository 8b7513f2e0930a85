"""The receiving end of a transport: whole SMTP replies one at a time, and whether more came than were asked for."""

import asyncio

from ct_pipeline.verification.reply_parser import MAX_REPLY_BYTES, NotSmtpError, RawReply, ReplyParser

_MAX_SEGMENT_BYTES = 4 * MAX_REPLY_BYTES


class ReplyStream(asyncio.Protocol):
    """Give it to a transport with ``set_protocol``. Bounded: what comes after a surplus reply is not even parsed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self._parser = ReplyParser()
        self._replies: list[RawReply] = []
        self._fault: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        if self._fault is not None or self._replies:
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
        self._wake()

    async def next_reply(self) -> RawReply:
        """The next reply.

        Raises:
            ConnectionError: the connection ended.
            NotSmtpError: the host does not talk SMTP.
        """
        while not self._replies:
            if self._fault is not None:
                raise self._fault
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._replies.pop(0)

    def has_surplus(self) -> bool:
        """Whether bytes have come that answer no command; true also for half a reply."""
        return bool(self._replies) or not self._parser.is_idle or isinstance(self._fault, NotSmtpError)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
