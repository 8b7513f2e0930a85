"""One session, command by command, without a socket: what is said next, and what becomes of each question."""

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.capabilities import Capabilities
from ct_pipeline.verification.dialogue import Dialogue
from ct_pipeline.verification.egress import Envelope
from ct_pipeline.verification.probe import DueAddress, ProbeKind
from ct_pipeline.verification.questions import Question
from ct_pipeline.verification.reply_parser import ReplyParser
from ct_pipeline_tests.verification.asking import READER

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OK, UNKNOWN = "250 2.1.5 Ok", "550 5.1.1 User unknown"
BYE = "221 2.0.0 Bye"


class Source:
    """A list of names; ``left`` are those that wait, ``answered`` those that have an answer."""

    def __init__(self, names: Iterable[str]) -> None:
        self.left = deque(
            Question(ProbeKind.MAILBOX, "a.test", f"{name}@a.test", DueAddress(n, f"{name}@a.test", "a.test", 0))
            for n, name in enumerate(names)
        )
        self.answered: list[Question] = []

    def may_ask(self) -> bool:
        return True

    def next_question(self) -> Question | None:
        return self.left.popleft() if self.left else None

    def has_asked_all(self) -> bool:
        return False

    def has_witness_due(self) -> bool:
        return False

    def receive(self, question: Question, reading: Reading) -> None:
        self.answered.append(question)

    def put_back(self, question: Question) -> None:
        self.left.appendleft(question)

    def withdraw(self, question: Question, reading: Reading, *, ask_again: bool) -> None:
        self.answered.remove(question)
        if ask_again:
            self.put_back(question)

    def waiting(self) -> list[str]:
        return [question.address.partition("@")[0] for question in self.left]


def dialogue(*names: str, extensions: tuple[str, ...] = ("ENHANCEDSTATUSCODES",), **options) -> tuple[Dialogue, Source]:
    source = Source(names)
    envelope = Envelope("prober.test", "probe@prober.test")
    options = {"session_addresses": 50, **options}
    return Dialogue(source, READER.read, envelope, Capabilities(extensions), **options), source


def converse(session: Dialogue, *replies: str, step: timedelta = timedelta()) -> list[str]:
    """Send what the dialogue says and give it ``replies``; the commands, that which is still unanswered included."""
    now, commands = NOW, []
    for reply in replies:
        commands.append(said(session, now))
        (raw,) = ReplyParser().feed(f"{reply}\r\n".encode())
        now += step
        session.receive(raw, now)
    commands.append(said(session, now))
    return [command for command in commands if command is not None]


def said(session: Dialogue, now: datetime) -> str | None:
    return session.next_commands(now).decode().removesuffix("\r\n") or None


def names(session: Dialogue) -> list[str]:
    return [answer.question.address.partition("@")[0] for answer in session.take_proven()]


def test_a_short_session_from_mail_to_quit():
    session, source = dialogue("ann", "bob")
    assert converse(session, "250 2.1.0 Ok", OK, UNKNOWN, BYE) == [
        "MAIL FROM:<probe@prober.test>",
        "RCPT TO:<ann@a.test>",
        "RCPT TO:<bob@a.test>",
        "QUIT",
    ]
    assert session.is_over
    assert names(session) == ["ann", "bob"]
    assert source.waiting() == []


def test_answers_are_kept_back_until_quit_is_answered():
    session, _ = dialogue("ann")
    converse(session, "250 2.1.0 Ok", OK)
    assert names(session) == []


def test_a_slow_session_is_proven_on_the_way():
    session, _ = dialogue("ann", "bob", "cid")
    commands = converse(session, "250 2.1.0 Ok", OK, OK, "250 2.0.0 Ok", step=timedelta(seconds=0.51))
    assert commands[-3:] == ["RCPT TO:<bob@a.test>", "NOOP", "RCPT TO:<cid@a.test>"]
    assert names(session) == ["ann", "bob"]


def test_a_cautious_session_proves_each_answer_before_the_next_question():
    session, _ = dialogue("ann", "bob", is_cautious=True)
    commands = converse(session, "250 2.1.0 Ok", OK, "250 2.0.0 Ok", UNKNOWN)
    assert commands[1:] == ["RCPT TO:<ann@a.test>", "NOOP", "RCPT TO:<bob@a.test>", "NOOP"]
    assert names(session) == ["ann"]


def test_a_cautious_session_without_any_checkpoint_asks_one_question():
    session, source = dialogue("ann", "bob", extensions=(), is_cautious=True)
    assert converse(session, "250 Ok", "250 Ok", BYE)[-1] == "QUIT"
    assert names(session) == ["ann"]
    assert source.waiting() == ["bob"]


def test_leaving_keeps_what_is_proven_and_gives_the_rest_back_in_order():
    session, source = dialogue("ann", "bob", "cid", "dan")
    converse(session, "250 2.1.0 Ok", OK, OK, "250 2.0.0 Ok", OK, step=timedelta(seconds=0.51))
    session.leave()
    assert session.is_over
    assert names(session) == ["ann", "bob"]
    assert source.waiting() == ["cid", "dan"]
    session.leave()
    assert source.waiting() == ["cid", "dan"]


def test_who_wants_to_stop_hears_what_was_asked_and_says_quit():
    session, source = dialogue("ann", "bob")
    converse(session, "250 2.1.0 Ok")
    session.ask_no_more()
    (raw,) = ReplyParser().feed(b"250 2.1.5 Ok\r\n")
    session.receive(raw, NOW)
    assert converse(session, BYE) == ["QUIT"]
    assert names(session) == ["ann"]
    assert source.waiting() == ["bob"]


def test_a_lost_connection_gives_unproven_questions_back_in_order():
    session, source = dialogue("ann", "bob", "cid")
    converse(session, "250 2.1.0 Ok", OK, UNKNOWN)
    session.lose("connection lost", NOW)
    assert names(session) == []
    assert source.waiting() == ["ann", "bob", "cid"]
    assert session.refusal is None
    assert session.loss is not None


def test_a_refusal_and_hanging_up_is_an_answer():
    session, source = dialogue("ann", "bob")
    converse(session, "250 2.1.0 Ok", UNKNOWN)
    session.lose("connection lost", NOW)
    assert names(session) == ["ann"]
    assert source.waiting() == ["bob"]


def test_silence_to_the_first_question_is_that_address_s_own_answer():
    session, source = dialogue("ann", "bob")
    converse(session, "250 2.1.0 Ok")
    session.lose("no reply in time", NOW)
    (answer,) = session.take_proven()
    assert (answer.question.address, answer.reading.reason.value) == ("ann@a.test", "command_timeout")
    assert session.refusal is not None
    assert not session.is_fruitful
    assert source.waiting() == ["bob"]


def test_silence_to_mail_is_about_the_host_and_nobody_is_answered():
    session, source = dialogue("ann")
    converse(session)
    session.lose("no reply in time", NOW)
    assert session.refusal is not None
    assert session.refusal.question.kind is ProbeKind.SESSION
    assert source.waiting() == ["ann"]


@pytest.mark.parametrize("extra", ["354 go ahead", "220 again", "250-host\r\n250 ENHANCEDSTATUSCODES"])
def test_a_reply_that_answers_something_else_voids_what_is_unproven(extra):
    session, source = dialogue("ann", "bob", "cid")
    converse(session, "250 2.1.0 Ok", OK, extra)
    assert session.is_out_of_step
    assert [answer.question.address for answer in session.voided] == ["ann@a.test"]
    assert source.waiting() == ["bob", "cid"]
    assert source.answered == []
    assert names(session) == []


def test_a_reply_after_an_odd_one_to_quit_shows_that_all_were_shifted():
    session, _ = dialogue("ann")
    converse(session, "250 2.1.0 Ok", OK, UNKNOWN)  # the host's real answer comes to QUIT
    (raw,) = ReplyParser().feed(f"{BYE}\r\n".encode())
    session.receive(raw, NOW)
    assert session.is_out_of_step
    assert names(session) == []


def test_an_odd_reply_to_quit_and_nothing_more_proves_nothing():
    session, source = dialogue("ann")
    converse(session, "250 2.1.0 Ok", OK, UNKNOWN)
    session.lose("connection lost", NOW)
    assert names(session) == []
    assert source.waiting() == ["ann"]


def test_a_question_that_comes_too_late_for_its_transaction_goes_into_another():
    session, _ = dialogue("ann", "bob")
    mail, reset = "MAIL FROM:<probe@prober.test>", "250 2.0.0 Ok"
    commands = converse(session, "250 2.1.0 Ok", OK, "452 4.5.3 Too many recipients", reset, "250 2.1.0 Ok", OK, BYE)
    assert commands[3:] == ["RSET", mail, "RCPT TO:<bob@a.test>", "QUIT"]
    assert names(session) == ["ann", "bob"]
    assert session.recipients_per_transaction == 1


def test_a_question_that_comes_too_late_for_its_session_goes_back():
    session, source = dialogue("ann", "bob", session_addresses=2)
    assert converse(session, "250 2.1.0 Ok", OK, "452 4.5.3 Too many recipients", BYE)[-1] == "QUIT"
    assert names(session) == ["ann"]
    assert source.waiting() == ["bob"]


def test_a_session_that_lasts_too_long_ends_with_what_it_has():
    session, source = dialogue("ann", "bob", "cid", session_seconds=10)
    commands = converse(session, "250 2.1.0 Ok", OK, BYE, step=timedelta(seconds=6))
    assert commands[-1] == "QUIT"
    assert names(session) == ["ann"]
    assert source.waiting() == ["bob", "cid"]


def test_421_after_answers_says_nothing_of_the_address():
    session, source = dialogue("ann", "bob", "cid", is_cautious=True)
    converse(session, "250 2.1.0 Ok", OK, "250 2.0.0 Ok", "421 4.7.0 Too many errors")
    assert session.refusal is None
    assert source.waiting() == ["bob", "cid"]


def test_a_block_is_the_end_of_the_session():
    session, source = dialogue("ann", "bob", "cid")
    blocked = "550 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org"
    assert converse(session, "250 2.1.0 Ok", OK, blocked, BYE)[-1] == "QUIT"
    assert session.refusal is not None
    assert names(session) == ["ann", "bob"]
    assert source.waiting() == ["cid"]


@pytest.mark.parametrize("extensions", [("SMTPUTF8",), ()])
def test_an_international_name_is_only_named_to_hosts_that_can_take_it(extensions):
    session, _ = dialogue("jürgen", extensions=extensions)
    first = converse(session)[0]
    assert first == ("MAIL FROM:<probe@prober.test> SMTPUTF8" if extensions else "QUIT")
    if not extensions:
        (answer,) = session.take_proven()
        assert answer.reading.reason.value == "smtputf8_required"


def test_nothing_ever_says_data():
    session, _ = dialogue("ann", "data", session_addresses=3)
    commands = converse(session, "250 2.1.0 Ok", OK, OK, "354 go ahead")
    assert not any(command.upper().startswith("DATA") for command in commands)


def test_a_full_transaction_ends_by_the_checkpoint_that_is_ehlo():
    session, _ = dialogue(*(f"user{n}" for n in range(11)), recipients_per_transaction=10)
    mail, greeting = "MAIL FROM:<probe@prober.test>", "250-mx.a.test\r\n250 ENHANCEDSTATUSCODES"
    commands = converse(session, "250 2.1.0 Ok", *[OK] * 10, greeting, "250 2.1.0 Ok", OK, BYE)
    assert commands[11:] == ["EHLO prober.test", mail, "RCPT TO:<user10@a.test>", "QUIT"]
    assert len(names(session)) == 11


def test_a_host_that_takes_no_second_ehlo_gets_rset():
    session, _ = dialogue(*(f"user{n}" for n in range(21)), recipients_per_transaction=10)
    mail, no, reset = "MAIL FROM:<probe@prober.test>", "503 5.5.1 Duplicate EHLO", "250 2.0.0 Ok"
    mail_ok = "250 2.1.0 Ok"
    commands = converse(session, mail_ok, *[OK] * 10, no, reset, mail_ok, *[OK] * 10, reset, mail_ok, OK, BYE)
    assert commands[11:14] == ["EHLO prober.test", "RSET", mail]
    assert commands[24:] == ["RSET", mail, "RCPT TO:<user20@a.test>", "QUIT"]
    assert len(names(session)) == 21


def test_before_quit_there_is_no_checkpoint():
    session, _ = dialogue("ann", session_addresses=1)
    assert converse(session, "250 2.1.0 Ok", OK, BYE, step=timedelta(seconds=0.51))[-1] == "QUIT"
    assert names(session) == ["ann"]
