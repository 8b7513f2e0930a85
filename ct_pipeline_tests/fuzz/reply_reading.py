"""Target: bytes of a mail host, cut anyhow, become the same replies.

``python -m ct_pipeline_tests.fuzz.reply_reading``. The first byte of an input says how the rest is cut into segments.
"""

import asyncio
import random
from collections.abc import Iterable

from ct_pipeline_tests.fuzz.fuzzing import fuzz, instrumented

with instrumented(__name__):
    from ct_pipeline.verification.reply_parser import (
        MAX_REPLY_BYTES,
        MAX_REPLY_LINES,
        NotSmtpError,
        RawReply,
        ReplyParser,
    )
    from ct_pipeline.verification.reply_stream import ReplyStream

MAX_EXPECTED = 1_000_000  # it stops listening after a surplus reply, and this target asks nothing
Heard = tuple[list[RawReply], bool]  # the replies, and whether what follows is no SMTP


def check(data: bytes) -> None:
    cut, said = data[:1], data[1:]
    replies, is_broken = whole = parsed([said])
    for reply in replies:
        assert 200 <= reply.code <= 599
        assert 1 <= len(reply.lines) <= MAX_REPLY_LINES
        assert sum(map(len, reply.lines)) <= MAX_REPLY_BYTES
        assert all("\n" not in line and "\r" not in line and "\x00" not in line for line in reply.lines)
    segments = list(cut_up(said, random.Random(cut)))
    assert parsed(segments) == whole, "how the network cuts makes a difference"
    assert parsed(said[n : n + 1] for n in range(len(said))) == whole, "single bytes make a difference"
    assert asyncio.run(streamed(segments)) == whole, "the stream hears something else than the parser"
    assert is_broken or len(said) <= MAX_REPLY_BYTES or replies, "a reply grows without end"


def parsed(segments: Iterable[bytes]) -> Heard:
    parser, replies = ReplyParser(), []
    for segment in segments:
        try:
            replies += parser.feed(segment)
        except NotSmtpError as error:
            return replies + error.replies, True
    return replies, False


async def streamed(segments: Iterable[bytes]) -> Heard:
    stream = ReplyStream()
    stream.expect(MAX_EXPECTED)
    reading = asyncio.create_task(read_all(stream))
    await asyncio.sleep(0)
    for segment in segments:
        stream.data_received(segment)
        await asyncio.sleep(0)
    stream.connection_lost(None)
    return await reading


async def read_all(stream: ReplyStream) -> Heard:
    replies: list[RawReply] = []

    def hear(said: list[RawReply]) -> float:
        replies.extend(said)
        return 60.0

    try:
        await stream.listen(hear, 60.0)
    except NotSmtpError:
        return replies, True
    except ConnectionError:
        return replies, False
    raise AssertionError("it listens until the end")


def cut_up(said: bytes, dice: random.Random) -> Iterable[bytes]:
    longest = dice.choice([2, 7, 100, 5000])
    while said:
        length = dice.randint(1, longest)
        yield said[:length]
        said = said[length:]


if __name__ == "__main__":
    fuzz(check, "reply_reading")
