"""Target: the time at which a host wants to be asked again. ``python -m ct_pipeline_tests.fuzz.retry_hints``."""

from datetime import UTC, datetime, timedelta

from ct_pipeline_tests.fuzz.fuzzing import fuzz, instrumented

with instrumented(__name__):
    from ct_pipeline.verification.probe import Reply, Stage
    from ct_pipeline.verification.recheck import MAX_HINT_SECONDS, next_attempt, retry_hint
    from ct_pipeline.verification.replies import ReplyReader
    from ct_pipeline.verification.reply_parser import as_reply, clean_text

READER = ReplyReader.load()
NOW = datetime(2026, 11, 1, tzinfo=UTC)
LONGEST = timedelta(days=8)


def check(data: bytes) -> None:
    reply = as_reply(Stage.RCPT, 450, [clean_text(line) for line in data.split(b"\n")])
    hint = retry_hint(reply.text)
    assert hint is None or 1 <= hint <= MAX_HINT_SECONDS
    reading = READER.read(Reply(Stage.RCPT, 450, reply.enhanced, reply.text))
    # None also for a hint within an address, a URL or another word with digits: the reader leaves those out.
    assert reading.retry_seconds in (None, hint), "the reader sees a hint that is none"
    for attempt in (1, 2, 3, 20):
        at = next_attempt(reading, attempt, NOW, seed=7)
        assert at is None or NOW < at <= NOW + LONGEST
        if hint and reading.retry_seconds and at is not None and attempt == 1:
            assert at >= NOW + timedelta(seconds=hint), "sooner than the host wants"


if __name__ == "__main__":
    fuzz(check, "retry_hints")
