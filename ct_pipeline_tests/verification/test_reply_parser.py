"""RFC 5321 section 4.2 replies from bytes, however they are cut, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.verification.probe import Stage
from ct_pipeline.verification.reply_parser import (
    MAX_REPLY_BYTES,
    MAX_TEXT_CHARACTERS,
    NotSmtpError,
    RawReply,
    ReplyParser,
    as_reply,
    clean_text,
)

texts = st.text(st.characters(blacklist_categories=("C", "Zl", "Zp"), max_codepoint=0x2FFF), max_size=60).map(str.strip)
codes = st.integers(200, 599)
replies = st.builds(RawReply, codes, st.lists(texts, min_size=1, max_size=5).map(tuple))


def encoded(reply: RawReply, line_end: bytes = b"\r\n") -> bytes:
    *firsts, last = reply.lines
    lines = [f"{reply.code}-{line}" for line in firsts] + [f"{reply.code} {last}"]
    return b"".join(line.encode() + line_end for line in lines)


@given(st.lists(replies, max_size=5), st.sampled_from([b"\r\n", b"\n"]), st.data())
def test_replies_come_out_whole_however_the_bytes_are_cut(sent, line_end, data):
    stream = b"".join(encoded(reply, line_end) for reply in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    parser = ReplyParser()
    got = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += parser.feed(stream[start:end])
    assert got == sent
    assert parser.is_idle


@given(st.binary(max_size=400))
def test_arbitrary_bytes_give_replies_or_not_smtp(junk):
    parser = ReplyParser()
    try:
        for reply in parser.feed(junk):
            assert 200 <= reply.code <= 599
            assert all(line.isprintable() or " " in line for line in reply.lines)
    except NotSmtpError:
        pass


@given(st.integers(0, 3))
def test_half_a_reply_is_not_idle(cut):
    parser = ReplyParser()
    assert parser.feed(b"250-one\r\n250 two\r\n"[: 9 + cut]) == []
    assert not parser.is_idle


@pytest.mark.parametrize(
    "junk",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"25 Ok\r\n",
        b"2500 Ok\r\n",
        b"250-a\r\n550 b\r\n",
        b"199 a\r\n",
        b"250_a\r\n",
    ],
    ids=repr,
)
def test_what_is_no_reply_is_refused(junk):
    with pytest.raises(NotSmtpError):
        ReplyParser().feed(junk)


def test_a_code_alone_is_a_reply():
    assert ReplyParser().feed(b"250\r\n") == [RawReply(250, ("",))]


@pytest.mark.parametrize("flood", [b"x" * 100, b"250-x\r\n" * 10], ids=["no line end", "no last line"])
def test_a_reply_without_end_is_cut_off(flood):
    parser = ReplyParser()

    def drown() -> None:
        for _ in range(2 * MAX_REPLY_BYTES // len(flood)):
            parser.feed(flood)

    with pytest.raises(NotSmtpError):
        drown()


def test_the_enhanced_code_is_taken_out_of_every_line():
    reply = as_reply(Stage.RCPT, 550, ["5.1.1 The account", "5.1.1 does not exist"])
    assert (reply.enhanced, reply.text) == ("5.1.1", "The account\ndoes not exist")


def test_cisco_writes_enhanced_codes_with_a_hash():
    assert as_reply(Stage.RCPT, 550, ["#5.1.0 Address rejected"]).enhanced == "5.1.0"


def test_a_version_number_is_no_enhanced_code():
    assert as_reply(Stage.CONNECT, 220, ["Server 5.1.1234 ready"]).enhanced is None


def test_stored_text_is_bounded_and_clean():
    reply = as_reply(Stage.RCPT, 550, ["a" * 5000])
    assert len(reply.text) == MAX_TEXT_CHARACTERS
    assert clean_text(b"a\x00b\x1b[31mc\xff\xe2\x80\xae") == "a b [31mc\ufffd "
