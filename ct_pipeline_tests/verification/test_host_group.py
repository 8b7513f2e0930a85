"""How domains are dealt out to sessions: one first, then many, and never counting all of them each time."""

from ct_pipeline.domains.providers import RandomProbe
from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.host_group import Closing, HostGroup
from ct_pipeline.verification.probe import DueAddress
from ct_pipeline.verification.questions import DomainQuestions, Question
from ct_pipeline.verification.session_questions import SessionQuestions
from ct_pipeline.vocabulary import About, Reason
from ct_pipeline_tests.verification.asking import domain
from ct_pipeline_tests.verification.test_domain_knowledge import ACCEPTED, UNKNOWN

REFUSED = Closing(Reading(Reason.CONNECTION_REFUSED, About.TEMPORARY, "test"), 1)


def group_of(*domains: DomainQuestions) -> HostGroup:
    return HostGroup((), domains)


def session(group: HostGroup) -> SessionQuestions:
    return SessionQuestions(group, lambda: True)


def ask_one(questions: SessionQuestions) -> Question:
    question = questions.next_question()
    assert question is not None
    return question


def ask_all(questions: SessionQuestions, answers: dict[str, Reading], most: int = 1000) -> list[str]:
    """The addresses a session asks, each answered at once."""
    asked = []
    while len(asked) < most and (question := questions.next_question()) is not None:
        asked.append(question.address)
        questions.receive(question, answers.get(question.address, UNKNOWN))
    return asked


def test_a_domain_belongs_to_one_session_until_its_first_answers_are_proven():
    group = group_of(domain("a.test", ["ann", "bob"]), domain("b.test", ["cid"]))
    first, second = session(group), session(group)
    assert ask_one(first).address == "ann@a.test"
    assert ask_one(second).address == "cid@b.test"
    assert second.next_question() is None
    assert session(group).next_question() is None


def test_then_any_session_may_help():
    questions = domain("a.test", ["ann", "bob", "cid"])
    group = group_of(questions)
    first, second = session(group), session(group)
    scout = ask_one(first)
    first.receive(scout, UNKNOWN)
    assert second.next_question() is None
    group.share(questions)
    assert ask_one(second).address == "bob@a.test"
    assert ask_one(first).address == "cid@a.test"


def test_what_a_session_leaves_goes_to_the_next():
    group = group_of(domain("a.test", ["ann", "bob", "cid"]))
    first = session(group)
    assert ask_all(first, {}, most=2) == ["ann@a.test", "bob@a.test"]
    assert session(group).next_question() is None
    first.finish()
    assert ask_all(session(group), {}) == ["cid@a.test"]


def test_a_question_that_is_put_back_is_asked_by_the_next_session():
    group = group_of(domain("a.test", ["ann"]))
    first = session(group)
    first.put_back(ask_one(first))
    first.finish()
    assert ask_all(session(group), {}) == ["ann@a.test"]


def test_one_session_serves_many_domains():
    group = group_of(*(domain(f"d{n}.test", ["ann"]) for n in range(5)))
    assert ask_all(session(group), {}) == [f"ann@d{n}.test" for n in range(5)]


def test_sessions_are_wanted_for_what_those_under_way_will_not_ask():
    group = group_of(*(domain(f"d{n}.test", ["ann"]) for n in range(25)))
    wanted = []
    for live in range(4):
        group.live_sessions = live
        wanted.append(group.wants_session(10))
    assert wanted == [True, True, True, False]


def test_closed_hosts_are_asked_nothing():
    group = group_of(domain("a.test", ["ann"]))
    under_way = session(group)
    group.closing = REFUSED
    assert not group.wants_session(10)
    assert under_way.next_question() is None
    assert group.claim() is None


def test_a_made_up_name_waits_for_a_session_of_its_own_while_the_others_go_on():
    own = RandomProbe.OWN_SESSION
    group = group_of(*(domain(f"d{n}.test", ["ann", "bob"], random_probe=own) for n in range(3)))
    first = session(group)
    scouts = {f"ann@d{n}.test": ACCEPTED for n in range(3)}
    assert ask_all(first, scouts) == ["ann@d0.test", "ann@d1.test", "ann@d2.test"]
    first.finish()
    for number in range(3):
        assert group.wants_session(50)
        alone = session(group)
        (made_up,) = ask_all(alone, {})
        assert made_up.endswith(f"@d{number}.test")
        assert not made_up.startswith(("ann", "bob"))
        alone.finish()
    assert ask_all(session(group), {}) == ["bob@d0.test", "bob@d1.test", "bob@d2.test"]


def test_a_session_that_has_asked_something_never_gets_a_made_up_name_that_wants_its_own():
    own = domain("own.test", ["ann", "bob"], random_probe=RandomProbe.OWN_SESSION)
    group = group_of(domain("a.test", ["cid"]), own)
    first, second = session(group), session(group)
    first.next_question()
    scout = ask_one(second)
    second.receive(scout, ACCEPTED)
    group.share(own)
    assert first.next_question() is None
    assert second.next_question() is None
    second.finish()
    assert group.wants_session(50)


def test_the_work_does_not_grow_with_the_square_of_the_domains():
    """Twenty thousand domains with one address each, behind the same hosts."""
    looks = 0

    class Counted(DomainQuestions):
        @property
        def open_count(self) -> int:
            nonlocal looks
            looks += 1
            return super().open_count

    domains = 20_000
    due = [DueAddress(n, f"ann@d{n}.test", f"d{n}.test", 0) for n in range(domains)]
    group = group_of(*(Counted(address.domain, [address]) for address in due))
    asked = 0
    while group.wants_session(50):
        group.live_sessions = 4
        group.wants_session(50)
        group.live_sessions = 0
        questions = session(group)
        asked += len(ask_all(questions, {}, most=50))
        questions.finish()
    assert asked == domains
    assert looks < 20 * domains


def test_the_sender_is_changed_once_however_many_sessions_were_refused():
    group = group_of(domain("a.test", ["ann"]))
    for _ in range(2):
        group.change_sender()
    assert group.uses_other_sender
    assert not group.may_change_sender
