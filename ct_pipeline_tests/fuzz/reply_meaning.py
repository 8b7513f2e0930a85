"""Target: any reply gets a reading, and a temporary one never condemns.

``python -m ct_pipeline_tests.fuzz.reply_meaning``. An input is ``stage code provider text``; what is missing or odd has
a default.
"""

from ct_pipeline_tests.fuzz.fuzzing import fuzz, instrumented

with instrumented(__name__):
    from ct_pipeline.verification.probe import Reply, Stage
    from ct_pipeline.verification.replies import ReplyReader
    from ct_pipeline.verification.reply_parser import MAX_TEXT_CHARACTERS, as_reply, clean_text
    from ct_pipeline.vocabulary import About, Reason

READER = ReplyReader.load()
STAGES = {stage.value: stage for stage in Stage}
THE_MAILBOX_IS_GONE = {
    Reason.MAILBOX_NOT_FOUND,
    Reason.MAILBOX_DISABLED,
    Reason.MAILBOX_MOVED,
    Reason.DOMAIN_NOT_HOSTED,
}


def check(data: bytes) -> None:
    reply, provider = decoded(data)
    assert len(reply.text) <= MAX_TEXT_CHARACTERS
    reading = READER.read(reply, provider)
    assert READER.read(reply, provider) == reading
    assert reading.retry_seconds is None or 1 <= reading.retry_seconds <= 86_400
    if not (reply.stage is Stage.RCPT and 500 <= reply.code <= 599):
        assert reading.about is not About.DOMAIN
        assert not (reading.about is About.ADDRESS and reading.reason in THE_MAILBOX_IS_GONE)
    if reading.reason is Reason.ACCEPTED:
        assert reply.stage is Stage.RCPT
        assert reply.code in (250, 251)


def decoded(data: bytes) -> tuple[Reply, str]:
    stage, code, provider, text = (*data.split(b" ", 3), b"", b"", b"", b"")[:4]
    lines = [clean_text(line) for line in text.split(b"\n")]
    number = int(code) if code.isdigit() and len(code) == 3 else 450
    reply = as_reply(STAGES.get(stage.decode("latin-1"), Stage.RCPT), number, lines)
    return reply, provider.decode("latin-1")


if __name__ == "__main__":
    fuzz(check, "reply_meaning")
