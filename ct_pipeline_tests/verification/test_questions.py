"""In which order a domain is asked, and that every question that is given out comes back answered or is asked again."""

from collections.abc import Callable
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.domains.providers import RandomProbe
from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.probe import DueAddress, ProbeKind
from ct_pipeline.verification.questions import LARGE_DOMAIN, DomainQuestions, Question, random_name
from ct_pipeline_tests.verification.asking import domain
from ct_pipeline_tests.verification.test_domain_knowledge import ACCEPTED, ALL, GREYLISTED, UNCLEAR, UNKNOWN

NAMES = ["ann", "bob", "cid", "dan"]


def asked(questions: DomainQuestions, *answers) -> list[str]:
    """The names asked one after the other, each answered; then all that could be asked at once."""
    names = []
    for answer in answers:
        question = questions.next()
        assert question is not None
        names.append(name_of(question))
        questions.receive(question, answer)
    while (question := questions.next()) is not None:
        names.append(name_of(question))
    return names


def name_of(question: Question) -> str:
    return question.kind.value if question.due is None else question.address.partition("@")[0]


def test_the_first_name_is_asked_alone():
    questions = domain("a.test", NAMES)
    assert questions.open_count == 1
    assert asked(questions) == ["ann"]
    assert questions.open_count == 0


def test_a_made_up_name_follows_an_accepted_one_and_is_asked_alone():
    assert asked(domain("a.test", NAMES), ACCEPTED) == ["ann", "random"]


def test_after_a_refused_made_up_name_the_rest_may_be_asked_at_once():
    assert asked(domain("a.test", NAMES), ACCEPTED, UNKNOWN) == ["ann", "random", "bob", "cid", "dan"]


def test_after_an_accepted_made_up_name_nothing_is_asked():
    questions = domain("a.test", NAMES)
    assert asked(questions, ACCEPTED, ACCEPTED) == ["ann", "random"]
    assert questions.is_over
    assert [due.address for due in questions.take_waiting()] == ["bob@a.test", "cid@a.test", "dan@a.test"]


def test_a_refused_first_name_makes_the_made_up_one_needless():
    assert asked(domain("a.test", NAMES), UNKNOWN, ACCEPTED) == ["ann", "bob", "cid", "dan"]


def test_a_greylisted_first_name_brings_the_made_up_one_so_that_both_wait_together():
    assert asked(domain("a.test", NAMES), GREYLISTED, GREYLISTED) == ["ann", "random", "bob", "cid", "dan"]


def test_an_unclear_refusal_is_followed_by_postmaster_and_then_by_the_made_up_name():
    order = asked(domain("a.test", NAMES), UNCLEAR, ACCEPTED, UNCLEAR)
    assert order == ["ann", "control", "random", "bob", "cid", "dan"]


def test_what_is_known_is_not_asked_again():
    assert asked(domain("a.test", NAMES, is_catch_all=False), ACCEPTED) == ["ann", "bob", "cid", "dan"]
    assert domain("a.test", NAMES, is_catch_all=True).open_count == 0


def test_never_means_never():
    assert asked(domain("a.test", NAMES, random_probe=RandomProbe.NEVER), ACCEPTED) == NAMES


def test_own_session_is_wanted_by_the_made_up_name_only():
    questions = domain("a.test", NAMES, random_probe=RandomProbe.OWN_SESSION)
    assert not questions.wants_own_session
    question = questions.next()
    assert question is not None
    questions.receive(question, ACCEPTED)
    assert questions.wants_own_session
    assert (random := questions.next()) is not None
    assert random.kind is ProbeKind.RANDOM
    assert not questions.wants_own_session


def test_a_withdrawn_answer_is_asked_again_and_what_followed_from_it_is_undone():
    questions = domain("a.test", NAMES)
    assert asked(questions, UNKNOWN)[0] == "ann"
    questions = domain("a.test", NAMES)
    first = questions.next()
    assert first is not None
    questions.receive(first, UNKNOWN)
    assert questions.open_count == 3
    questions.withdraw(first, UNKNOWN)
    assert questions.open_count == 1, "nothing is known of the domain any more"
    assert asked(questions, ACCEPTED) == ["ann", "random"]


def test_the_made_up_name_is_always_the_same_and_no_role():
    assert random_name("a.test") == random_name("a.test") != random_name("b.test")
    assert random_name("a.test", 1) == random_name("a.test", 1) != random_name("a.test")
    assert random_name("a.test").isalpha()
    assert len(random_name("a.test")) == 18


# -- large domains, and doubt ---

MANY = [f"user{number}" for number in range(LARGE_DOMAIN + 1)]
BOTH = [f"{random_name('a.test', number)}@a.test" for number in (0, 1)]


def made_up(questions: DomainQuestions, answer: Callable[[Question], Reading]) -> list[str]:
    """The made-up names that are asked while everything is answered, one question after the other."""
    asked = []
    while (question := questions.next()) is not None:
        if question.kind is ProbeKind.RANDOM:
            asked.append(question.address)
        questions.receive(question, answer(question))
    return asked


def only_mailboxes(question: Question) -> Reading:
    return ACCEPTED if question.due else UNKNOWN


def test_a_large_domain_that_accepts_every_name_is_asked_about_two_of_them():
    questions = domain("a.test", MANY)
    assert made_up(questions, lambda _: ACCEPTED) == BOTH
    assert questions.is_over
    assert questions.waiting_count == len(MANY) - 1
    assert made_up(domain("a.test", MANY[2:]), lambda _: ACCEPTED) == BOTH[:1]


def test_a_made_up_name_that_happens_to_exist_makes_no_catch_all():
    questions = domain("a.test", MANY)
    assert made_up(questions, lambda q: UNKNOWN if q.address == BOTH[1] else ACCEPTED) == BOTH
    assert questions.heard.is_catch_all is False
    assert questions.waiting_count == 0


def test_many_acceptances_in_a_row_are_checked_with_a_late_name():
    assert made_up(domain("a.test", MANY), only_mailboxes) == BOTH
    assert made_up(domain("a.test", MANY, is_catch_all=False), only_mailboxes) == BOTH[:1]


def test_a_clear_refusal_towards_the_end_makes_the_late_name_needless():
    def answer(question: Question) -> Reading:
        return UNKNOWN if question.address.startswith("user9@") else only_mailboxes(question)

    assert made_up(domain("a.test", MANY), answer) == BOTH[:1]


def test_the_late_name_waits_for_the_answers_that_are_out():
    questions = domain("a.test", MANY, is_catch_all=False)
    out = [question for _ in MANY if (question := questions.next()) is not None]
    assert questions.next() is None
    assert questions.may_go_on, "the session must not end yet"
    for question in out[:-1]:
        questions.receive(question, ACCEPTED)
    assert questions.open_count == 0
    questions.receive(out[-1], ACCEPTED)
    assert questions.open_count == 1
    late = questions.next()
    assert late is not None
    assert late.kind is ProbeKind.RANDOM
    questions.put_back(late)
    assert questions.next() == late
    questions.receive(late, UNKNOWN)
    assert not questions.may_go_on


def test_a_host_that_has_come_to_accept_everything_leaves_the_domain_in_doubt():
    said = iter([ACCEPTED, UNKNOWN])
    questions = domain("a.test", MANY)
    assert made_up(questions, lambda _: next(said, ACCEPTED)) == BOTH
    assert questions.heard.is_in_doubt
    assert questions.is_over


def test_a_mailbox_that_was_refused_and_is_accepted_brings_the_made_up_name():
    due = [DueAddress(1, "ann@a.test", "a.test", 1, was_refused=True), DueAddress(2, "bob@a.test", "a.test", 1)]
    questions = DomainQuestions("a.test", due, is_catch_all=False, tells_apart=True)
    assert asked(questions, ACCEPTED) == ["ann", "random"]
    at_backup = DomainQuestions("a.test", due, is_catch_all=False, tells_apart=True)
    at_backup.start_over()
    assert asked(at_backup, ACCEPTED, ACCEPTED) == ["ann", "random"]
    assert at_backup.heard.is_in_doubt, "the first host knew better"


def test_a_domain_in_doubt_is_asked_about_a_made_up_name_at_once():
    options = {"is_catch_all": False, "doubted_at": datetime(2026, 11, 1, tzinfo=UTC)}
    assert asked(domain("a.test", NAMES, **options), ACCEPTED, ACCEPTED) == ["ann", "random"]
    assert asked(domain("a.test", NAMES, **options), ACCEPTED, UNKNOWN) == ["ann", "random", "bob", "cid", "dan"]
    confirmed = domain("a.test", NAMES, **options, may_confirm_doubt=True)
    assert asked(confirmed, ACCEPTED, ACCEPTED) == ["ann", "random"]
    assert confirmed.heard.is_catch_all is True


@given(
    st.lists(st.tuples(st.sampled_from(["answer", "put back", "withdraw", "void"]), st.sampled_from(ALL)), max_size=60)
)
def test_every_due_address_is_waiting_out_answered_or_voided(steps):
    """And never two of these: whatever becomes of the questions, in any order."""
    questions = domain("a.test", NAMES)
    out: list[Question] = []
    answered: list[tuple[Question, Reading]] = []
    voided: list[str] = []
    for step, reading in steps:
        if (question := questions.next()) is not None:
            out.append(question)
        if step in ("answer", "put back") and out:
            question = out.pop(0)
            if step == "put back":
                questions.put_back(question)
            else:
                questions.receive(question, reading)
                answered.append((question, reading))
        elif answered and step in ("withdraw", "void"):
            question, reading = answered.pop()
            questions.withdraw(question, reading, ask_again=step == "withdraw")
            voided += [question.address] * (step == "void" and question.due is not None)
    names = [q.address for q in out if q.due] + [q.address for q, _ in answered if q.due] + voided
    names += [due.address for due in questions.take_waiting()]
    assert sorted(names) == sorted(f"{name}@a.test" for name in NAMES)
