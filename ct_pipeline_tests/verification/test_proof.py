"""When the answers of a session are certain, and which fall when it breaks off."""

from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.verification.capabilities import Capabilities
from ct_pipeline.verification.probe import DueAddress, ProbeKind, Stage
from ct_pipeline.verification.proof import CHECKPOINT_AFTER, Checkpoint, Proof
from ct_pipeline.verification.questions import Answer, Question
from ct_pipeline.verification.reply_parser import RawReply, as_reply
from ct_pipeline_tests.verification.asking import READER

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ENHANCED = Capabilities(("ENHANCEDSTATUSCODES", "HELP"))
PLAIN = Capabilities(("HELP",))
SUCCESS = RawReply(250, ("2.0.0 Ok",))


def answer(text: str, number: int = 1) -> Answer:
    reply = as_reply(Stage.RCPT, int(text[:3]), [text[4:]])
    due = DueAddress(number, f"user{number}@a.test", "a.test", 0)
    return Answer(Question(ProbeKind.MAILBOX, "a.test", due.address, due), reply, READER.read(reply), NOW, NOW)


LIVE, DEAD = answer("250 2.1.5 Ok", 1), answer("550 5.1.1 User unknown", 2)


def test_nothing_is_certain_until_something_proves_it():
    proof = Proof(ENHANCED)
    proof.add(LIVE)
    assert proof.take_proven() == []
    proof.prove()
    assert proof.take_proven() == [LIVE]
    assert proof.take_proven() == []


def test_a_checkpoint_is_due_when_answers_have_waited_and_at_once_for_the_cautious():
    proof, cautious = Proof(ENHANCED), Proof(ENHANCED, is_cautious=True)
    assert not cautious.is_due(NOW)
    for each in (proof, cautious):
        each.add(LIVE)
    assert cautious.is_due(NOW)
    assert not proof.is_due(NOW + CHECKPOINT_AFTER - timedelta(milliseconds=1))
    assert proof.is_due(NOW + CHECKPOINT_AFTER)


@pytest.mark.parametrize(
    ("reply", "proves"),
    [
        (SUCCESS, True),
        (RawReply(250, ("Ok",)), False),
        (RawReply(250, ("2.1.5 Ok",)), False),
        (RawReply(550, ("5.1.1 User unknown",)), False),
        (RawReply(550, ("2.0.0 odd",)), False),
    ],
)
def test_a_noop_proves_by_a_reply_that_no_other_command_gets(reply, proves):
    proof = Proof(ENHANCED)
    proof.add(DEAD)
    assert proof.best_checkpoint() is Checkpoint.NOOP
    proof.check(Checkpoint.NOOP, reply)
    assert proof.take_proven() == ([DEAD] if proves else [])
    assert proof.best_checkpoint() is (Checkpoint.NOOP if proves else Checkpoint.EHLO)


def test_a_second_ehlo_proves_by_repeating_the_first():
    proof = Proof(PLAIN)
    proof.add(DEAD)
    assert proof.best_checkpoint() is Checkpoint.EHLO
    proof.check(Checkpoint.EHLO, RawReply(250, ("other.test", "HELP")))
    assert proof.take_proven() == [DEAD]


def test_what_does_not_repeat_it_proves_nothing_and_then_only_the_end_can():
    proof = Proof(PLAIN)
    proof.add(DEAD)
    proof.check(Checkpoint.EHLO, RawReply(250, ("host.test", "SIZE 1")))
    assert proof.take_proven() == []
    assert proof.best_checkpoint() is None


def test_after_rset_a_noop_proves_nothing_since_its_reply_may_be_that_to_rset():
    proof = Proof(ENHANCED)
    proof.add(LIVE)
    proof.ask_reset()
    assert proof.best_checkpoint() is Checkpoint.EHLO
    proof.check(Checkpoint.EHLO, RawReply(250, ("host.test", *ENHANCED.lines)))
    assert proof.best_checkpoint() is Checkpoint.NOOP


def test_a_host_that_says_2_0_0_to_everything_is_not_believed_by_noop():
    by_mail, by_rcpt = Proof(ENHANCED), Proof(ENHANCED)
    by_mail.hear(SUCCESS)
    by_rcpt.add(answer("250 2.0.0 Ok"))
    assert by_mail.best_checkpoint() is by_rcpt.best_checkpoint() is Checkpoint.EHLO


def test_a_host_that_was_told_helo_offers_no_checkpoint():
    assert Proof(Capabilities()).best_checkpoint() is None


@pytest.mark.parametrize(
    ("answers", "then", "stands"),
    [
        ([DEAD], None, [DEAD]),
        ([LIVE], None, []),
        ([LIVE, DEAD], None, []),
        ([DEAD], RawReply(421, ("4.7.0 Too many errors",)), []),
        ([DEAD], RawReply(250, ("2.1.0 Ok",)), []),
    ],
    ids=[
        "a refusal, the last word",
        "an acceptance",
        "two answers",
        "a refusal, and 421",
        "a refusal, and something else",
    ],
)
def test_only_a_lone_refusal_as_the_last_word_survives_a_lost_connection(answers, then, stands):
    proof = Proof(ENHANCED)
    for each in answers:
        proof.add(each)
    if then is not None:
        proof.hear(then)
    fallen = proof.break_off()
    assert proof.take_proven() == stands
    assert fallen == [each for each in answers if each not in stands]


def test_what_is_proven_survives_everything():
    proof = Proof(ENHANCED)
    proof.add(LIVE)
    proof.check(Checkpoint.NOOP, SUCCESS)
    proof.add(DEAD)
    assert proof.drop() == [DEAD]
    assert proof.take_proven() == [LIVE]
    assert proof.has_proven


def test_what_the_host_did_not_say_needs_no_proof_and_is_none_of_its_answers():
    proof = Proof(ENHANCED)
    proof.add_certain(LIVE)
    assert proof.take_proven() == [LIVE]
    assert not proof.has_proven


def test_a_last_refusal_is_in_doubt_after_an_answer_that_proved_itself():
    """One reply too many to that answer, then silence and the end: it looks just like a refusal of the next."""
    proof = Proof(ENHANCED)
    proof.add(DEAD, proves_itself=True)
    proof.add(answer("550 5.1.1 User unknown", 3))
    assert [fallen.question.address for fallen in proof.break_off()] == ["user3@a.test"]
    assert proof.take_proven() == [DEAD]
