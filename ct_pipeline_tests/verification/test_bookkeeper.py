"""When each address is due again, which facts are written, and that nobody's answer is another's evidence."""

from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.domains.providers import RandomProbe
from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.bookkeeper import Bookkeeper
from ct_pipeline.verification.disbelief import IN_DOUBT, IN_DOUBT_REPLY, REFUSES_US, REFUSES_US_REPLY
from ct_pipeline.verification.host_group import Closing
from ct_pipeline.verification.notebook import Notebook, Observations
from ct_pipeline.verification.probe import ProbeKind, Reply, Stage, Turn
from ct_pipeline.verification.questions import Answer, DomainQuestions, Question
from ct_pipeline.vocabulary import About, Reason
from ct_pipeline_tests.verification.asking import READER, domain, notebook
from ct_pipeline_tests.verification.test_domain_knowledge import (
    ACCEPTED,
    FULL,
    GREYLISTED,
    NOT_HOSTED,
    UNCLEAR,
    UNKNOWN,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NAMES = ["ann", "bob", "cid", "dan", "eve"]
CODES = {ACCEPTED: 250, GREYLISTED: 450}
BLOCKED = Reading(Reason.PROBER_BLOCKED, About.US, "test")
POLICY = Reading(Reason.POLICY_REFUSED, About.US, "test")
UNREACHABLE = Reading(Reason.CONNECTION_TIMEOUT, About.TEMPORARY, "test")


class Books:
    """A bookkeeper of one domain, whose questions are answered in the order they are asked."""

    def __init__(self, questions: DomainQuestions, *, asks_once: bool = False) -> None:
        self.questions = questions
        self.notes: Notebook = notebook()
        self.keeper = Bookkeeper(self.notes, asks_once=asks_once)

    def hear(self, *readings: Reading) -> list[Answer]:
        """Ask and answer; nothing is proven yet."""
        answers = []
        for reading in readings:
            question = self.questions.next()
            assert question is not None
            self.questions.receive(question, reading)
            reply = Reply(Stage.RCPT, CODES.get(reading, 550), None, "")
            answers.append(Answer(question, reply, reading, NOW, NOW))
        return answers

    def prove(self, *readings: Reading) -> None:
        self.record(self.hear(*readings))

    def record(self, answers: list[Answer]) -> None:
        self.keeper.record(1, answers, {self.questions.domain: self.questions}, NOW)

    @property
    def page(self) -> Observations:
        return self.notes.page

    def turns(self) -> dict[int, Turn]:
        assert len({turn.address_id for turn in self.page.turns}) == len(self.page.turns), "one turn each"
        return {turn.address_id: turn for turn in self.page.turns}

    def finished(self) -> set[int]:
        return {number for number, turn in self.turns().items() if turn.next_attempt_at is None}


def books(**options) -> Books:
    return Books(domain("a.test", NAMES, **options))


def test_an_accepted_address_is_held_until_the_made_up_name_is_proven():
    kept = books()
    kept.prove(ACCEPTED)
    assert kept.page.turns == []
    kept.prove(UNKNOWN)
    assert kept.finished() == {1}
    assert [fact.is_catch_all for fact in kept.page.catch_all_facts] == [False]


def test_what_was_only_heard_settles_nothing():
    """Another session's proof must not write down what this one has not proven."""
    kept = books()
    kept.prove(ACCEPTED)
    unproven = kept.hear(UNKNOWN)
    kept.keeper.settle(kept.questions, NOW)
    assert kept.page.turns == []
    assert kept.page.catch_all_facts == []
    kept.record(unproven)
    assert kept.finished() == {1}


def test_a_catch_all_settles_all_its_addresses_without_evidence_of_their_own():
    kept = books()
    kept.prove(ACCEPTED, ACCEPTED)
    assert kept.finished() == {1, 2, 3, 4, 5}
    turns = kept.turns()
    assert turns[1].probe_id is not None
    assert {(turns[number].probe_id, turns[number].attempt_count) for number in (2, 3, 4, 5)} == {(None, 0)}


def test_while_the_made_up_name_is_put_off_so_is_who_was_accepted():
    kept = books()
    kept.prove(ACCEPTED, GREYLISTED)
    (turn,) = kept.page.turns
    assert turn.next_attempt_at is not None
    assert turn.attempt_count == 1
    assert not kept.page.catch_all_facts


def test_where_no_made_up_name_is_asked_nobody_is_held():
    kept = books(random_probe=RandomProbe.NEVER)
    kept.prove(ACCEPTED)
    assert kept.finished() == {1}


def test_a_fact_is_written_once_and_again_when_more_is_known():
    kept = books()
    kept.prove(UNKNOWN, UNKNOWN, ACCEPTED, UNKNOWN, ACCEPTED)
    facts = [(fact.is_catch_all, fact.tells_apart) for fact in kept.page.catch_all_facts]
    assert facts == [(False, True)]
    kept = books(random_probe=RandomProbe.NEVER)
    kept.prove(UNKNOWN)
    kept.prove(ACCEPTED)
    kept.prove(ACCEPTED)
    assert [(f.is_catch_all, f.tells_apart) for f in kept.page.catch_all_facts] == [(False, None), (False, True)]


def test_a_catch_all_that_refuses_a_name_first_is_no_proof_of_those_it_accepts():
    kept = books()
    kept.prove(UNKNOWN, ACCEPTED)
    assert kept.page.catch_all_facts == [], "one closed name says little of the others"
    assert kept.finished() == {1}
    kept.prove(ACCEPTED)  # the made-up name
    assert kept.finished() == {1}
    shown = {probe.probe_id: probe.reason for probe in kept.page.probes}
    assert shown[kept.turns()[2].probe_id or 0] is IN_DOUBT.reason
    assert not kept.turns()[2].is_definitive


def test_a_fact_that_the_ledger_holds_already_is_not_written():
    kept = books(is_catch_all=False, tells_apart=True)
    kept.prove(ACCEPTED, UNKNOWN)
    assert kept.page.catch_all_facts == []


def test_a_domain_that_two_names_show_as_not_hosted_is_asked_once_more_and_shown_by_a_probe_about_it():
    kept = books()
    kept.prove(NOT_HOSTED, NOT_HOSTED)
    assert all(turn.next_attempt_at and turn.next_attempt_at >= NOW + timedelta(days=1) for turn in kept.page.turns)
    probes = {probe.probe_id: probe for probe in kept.page.probes}
    evidence = {number: probes[turn.probe_id or 0].kind for number, turn in kept.turns().items()}
    session = ProbeKind.SESSION
    assert evidence == {1: ProbeKind.MAILBOX, 2: ProbeKind.MAILBOX, 3: session, 4: session, 5: session}


@pytest.mark.parametrize(("other_host", "definitive"), [("192.0.2.1", {1, 2}), ("192.0.2.2", {1})])
def test_what_another_host_accepts_makes_no_vague_refusal_definitive(other_host: str, definitive: set[int]):
    kept = books(is_catch_all=False, tells_apart=True)
    known = {kept.questions.domain: kept.questions}
    for session_id, host, readings in ((1, "192.0.2.1", [ACCEPTED, UNCLEAR]), (2, other_host, [ACCEPTED])):
        kept.keeper.begin_session(session_id, host)
        kept.keeper.record(session_id, kept.hear(*readings), known, NOW)
    assert {turn.address_id for turn in kept.page.turns if turn.is_definitive} == definitive | {3}


def test_vague_refusals_of_some_names_are_no_evidence_against_the_others():
    kept = books()
    kept.prove(UNCLEAR, UNCLEAR, UNCLEAR, UNCLEAR)  # ann, postmaster, bob, cid
    turns = kept.turns()
    assert kept.finished() == set()
    assert {number: (turn.probe_id is None, turn.attempt_count) for number, turn in turns.items()} == {
        1: (False, 1),
        2: (False, 1),
        3: (False, 1),
        4: (False, 1),
        5: (False, 1),
    }
    probes = {probe.probe_id: probe for probe in kept.page.probes}
    assert [probes[turns[number].probe_id or 0].kind for number in (4, 5)] == [ProbeKind.SESSION] * 2


def test_where_we_are_unwelcome_nothing_is_burned_and_all_is_due_at_the_next_trial():
    kept = books()
    until_at = NOW + timedelta(hours=2)
    kept.keeper.postpone(kept.questions, Closing(BLOCKED, 77, until_at), NOW)
    assert {(turn.next_attempt_at, turn.attempt_count, turn.probe_id) for turn in kept.page.turns} == {
        (until_at, 0, 77)
    }
    assert len(kept.turns()) == 5


def test_a_host_that_cannot_be_reached_costs_an_attempt():
    kept = books()
    kept.keeper.postpone(kept.questions, Closing(UNREACHABLE, 77), NOW)
    assert {(turn.attempt_count, turn.probe_id) for turn in kept.page.turns} == {(1, 77)}
    assert len(kept.turns()) == 5
    assert kept.finished() == set()


def test_who_is_held_when_the_hosts_are_left_alone_is_due_again():
    kept = books()
    kept.prove(ACCEPTED)
    kept.keeper.postpone(kept.questions, Closing(UNREACHABLE, 77), NOW)
    assert kept.turns()[1].attempt_count == 1
    assert kept.finished() == set()
    kept.keeper.postpone(kept.questions, Closing(UNREACHABLE, 77), NOW)
    assert len(kept.turns()) == 5


@pytest.mark.parametrize(
    ("readings", "definitive"),
    [
        ((ACCEPTED, UNKNOWN), {1}),
        ((ACCEPTED, GREYLISTED), {1}),  # an acceptance all the same, though its domain is in doubt
        ((UNKNOWN, FULL, GREYLISTED, UNKNOWN, UNCLEAR), {1, 2}),  # the fourth is the made-up name's
        ((NOT_HOSTED, NOT_HOSTED), {1, 2}),  # what others share is no word on their mailboxes
        ((UNCLEAR,), set()),
    ],
)
def test_which_replies_settle_the_mailbox(readings, definitive):
    kept = books()
    kept.prove(*readings)
    assert {number for number, turn in kept.turns().items() if turn.is_definitive} == definitive


def test_a_word_about_us_settles_no_mailbox():
    kept = books()
    kept.keeper.postpone(kept.questions, Closing(BLOCKED, 77, NOW), NOW)
    assert not any(turn.is_definitive for turn in kept.page.turns)


@pytest.mark.parametrize("asks_once", [True, False])
def test_a_temporary_answer_is_the_last_where_every_address_is_asked_once(asks_once):
    kept = Books(domain("a.test", NAMES), asks_once=asks_once)
    kept.prove(GREYLISTED)
    assert kept.finished() == ({1} if asks_once else set())


def test_what_a_domain_in_doubt_accepts_is_taken_back_from_its_last_clear_refusal_on():
    kept = books()
    kept.prove(ACCEPTED)  # ann
    kept.prove(UNKNOWN)  # the made-up name
    kept.prove(ACCEPTED)  # bob
    kept.questions.learn(kept.questions.proven, Question(ProbeKind.RANDOM, "a.test", ""), ACCEPTED)
    kept.keeper.settle(kept.questions, NOW)
    turns = {turn.address_id: turn for turn in kept.page.turns}
    assert {number: (turn.is_definitive, turn.is_retracted) for number, turn in turns.items()} == {
        1: (True, False),
        2: (False, True),
        3: (False, False),
        4: (False, False),
        5: (False, False),
    }
    assert kept.keeper.doubted_domains == {"a.test"}
    assert READER.read(IN_DOUBT_REPLY) == IN_DOUBT, "the judge reads what was recorded"
    assert READER.read(REFUSES_US_REPLY) == REFUSES_US
    last = kept.page.catch_all_facts[-1]
    assert (last.is_catch_all, last.doubted_at) == (False, NOW)


def test_voided_answers_are_due_again():
    kept = books()
    (answer,) = kept.hear(ACCEPTED)
    assert answer.question.due is not None
    out_of_step = Reading(Reason.OUT_OF_STEP, About.TEMPORARY, "test")
    kept.keeper.distrust([answer.question.due], out_of_step, 9, NOW)
    assert kept.turns()[1].next_attempt_at is not None


@pytest.mark.parametrize("attempts_before", [0, 3])
def test_attempts_are_counted_on(attempts_before):
    questions = domain("a.test", ["ann"])
    (due,) = questions.take_waiting()
    again = DomainQuestions("a.test", [type(due)(due.address_id, due.address, due.domain, attempts_before)])
    kept = Books(again)
    kept.prove(UNKNOWN)
    assert kept.turns()[1].attempt_count == attempts_before + 1
