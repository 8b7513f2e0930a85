"""One dialogue over one connection: what it says is sent, what comes is heard.

It goes on from reply to reply where the replies come in. Only what has to be waited for besides (the site's pace, the
end) wakes a task.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from ct_pipeline.verification.dialogue import Dialogue
from ct_pipeline.verification.reply_parser import NotSmtpError, RawReply, clean_text
from ct_pipeline.verification.reply_stream import ReplyStream

CLOSING_TIMEOUT_SECONDS = 5.0  # RFC 5321 has no figure for QUIT; nobody waits for its reply
INTERRUPTED_TIMEOUT_SECONDS = 2.0  # for the reply to what was asked and to QUIT, when somebody wants us to stop


class Exchange:
    """Carries ``dialogue``; each whole reply may take ``reply_seconds``. The callbacks are those of
    :meth:`~ct_pipeline.verification.connection.Connection.converse`."""

    def __init__(
        self,
        transport: asyncio.Transport,
        replies: ReplyStream,
        dialogue: Dialogue,
        clock: Callable[[], datetime],
        reply_seconds: float,
        after_reply: Callable[[], None],
        wait_seconds: Callable[[int, datetime], float],
    ) -> None:
        self._transport = transport
        self._replies = replies
        self._dialogue = dialogue
        self._clock = clock
        self._reply_seconds = reply_seconds
        self._after_reply = after_reply
        self._wait_seconds = wait_seconds
        self._asked_count = 0  # addresses that ``wait_seconds`` has been told of
        self._pause = 0.0  # seconds for which nothing may be said
        self._failure: Exception | None = None  # our own, not the host's

    async def carry(self) -> None:
        """Go on until the dialogue is over."""
        self._say(self._clock())
        while not self._dialogue.is_over:
            if self._pause > 0:
                await self._replies.until_closed(self._pause)
                self._say(self._clock())
            else:
                await self._listen()

    async def wind_up(self) -> None:
        """End soon: only the replies to what has been asked are awaited, and QUIT is said."""
        dialogue = self._dialogue
        dialogue.ask_no_more()
        self._wait_seconds = lambda _asked_count, _now: 0.0
        try:
            async with asyncio.timeout(INTERRUPTED_TIMEOUT_SECONDS):
                await self.carry()
        except TimeoutError:
            if not dialogue.is_closing:
                self._write(b"QUIT\r\n")
            dialogue.leave()

    def _say(self, now: datetime) -> None:
        """Send the next commands, unless a reply is outstanding or it is too early."""
        dialogue = self._dialogue
        if dialogue.is_over or dialogue.outstanding_count:
            return
        self._pause = self._wait_seconds(dialogue.rcpt_count - self._asked_count, now)
        self._asked_count = dialogue.rcpt_count
        if self._pause > 0:
            if not self._replies.is_closed:
                return
            self._pause = 0.0
        if self._replies.has_surplus():
            dialogue.break_off()
        elif commands := dialogue.next_commands(now):
            self._replies.expect(dialogue.outstanding_count)
            self._write(commands)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():  # a host may have gone meanwhile, and uvloop raises where asyncio does not
            self._transport.write(data)

    async def _listen(self) -> None:
        """Hear what comes, and go on with it; no reply within its time ends the session."""
        dialogue = self._dialogue
        try:
            await self._replies.listen(self._hear, self._patience)
        except TimeoutError:
            dialogue.lose("no reply in time", self._clock(), is_timeout=True)
        except ConnectionError as error:
            dialogue.lose(f"connection lost: {clean_text(str(error))}", self._clock())
        except NotSmtpError:
            dialogue.break_off()
        if self._failure is not None:
            raise self._failure

    def _hear(self, replies: list[RawReply]) -> float:
        try:
            now = self._clock()
            for reply in replies:
                if self._dialogue.is_over:
                    break
                self._dialogue.receive(reply, now)
            self._after_reply()
            self._say(now)
        except Exception as failure:
            self._failure = failure
            return 0.0
        return 0.0 if self._pause > 0 or self._dialogue.is_over else self._patience

    @property
    def _patience(self) -> float:
        """Seconds for the next reply."""
        return min(CLOSING_TIMEOUT_SECONDS, self._reply_seconds) if self._dialogue.is_closing else self._reply_seconds
