"""What answers say of a domain: catch-all, telling names apart, not worth asking on; and how they are taken back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.domain_knowledge import DomainKnowledge
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline.vocabulary import About, Reason

ACCEPTED = Reading(Reason.ACCEPTED, About.ADDRESS, "test")
UNKNOWN = Reading(Reason.MAILBOX_NOT_FOUND, About.ADDRESS, "test")
DISABLED = Reading(Reason.MAILBOX_DISABLED, About.ADDRESS, "test")
FULL = Reading(Reason.MAILBOX_FULL, About.ADDRESS, "test")
UNCLEAR = Reading(Reason.UNCLEAR_REPLY, About.UNCLEAR, "test")
RELAY = Reading(Reason.RELAY_DENIED, About.UNCLEAR, "test")
NO_PROMISE = Reading(Reason.CANNOT_VERIFY, About.UNCLEAR, "test")
GREYLISTED = Reading(Reason.GREYLISTED, About.TEMPORARY, "test")
NOT_HOSTED = Reading(Reason.DOMAIN_NOT_HOSTED, About.DOMAIN, "test")
LOST = Reading(Reason.CONNECTION_LOST, About.TEMPORARY, "test")
ALL = [ACCEPTED, UNKNOWN, DISABLED, FULL, UNCLEAR, RELAY, NO_PROMISE, GREYLISTED, NOT_HOSTED, LOST]

MAILBOX, RANDOM, CONTROL = ProbeKind.MAILBOX, ProbeKind.RANDOM, ProbeKind.CONTROL


def after(*answers: tuple[ProbeKind, Reading], **known: Any) -> DomainKnowledge:
    knowledge = DomainKnowledge(known.pop("catch_all", None), known.pop("tells_apart", None), **known)
    for kind, reading in answers:
        knowledge.learn(kind, reading)
    return knowledge


@pytest.mark.parametrize(
    ("answers", "is_catch_all"),
    [
        ([(MAILBOX, ACCEPTED)], None),
        ([(MAILBOX, UNKNOWN)], None),  # catch-alls have single names closed
        ([(MAILBOX, UNKNOWN), (MAILBOX, ACCEPTED)], None),
        ([(MAILBOX, UNKNOWN), (MAILBOX, ACCEPTED), (RANDOM, UNKNOWN)], False),
        ([(MAILBOX, FULL)], None),
        ([(MAILBOX, DISABLED)], None),
        ([(MAILBOX, ACCEPTED), (RANDOM, ACCEPTED)], True),
        ([(MAILBOX, ACCEPTED), (RANDOM, UNKNOWN)], False),
        ([(MAILBOX, ACCEPTED), (RANDOM, DISABLED)], False),
        ([(MAILBOX, ACCEPTED), (RANDOM, UNCLEAR)], False),
        ([(RANDOM, UNCLEAR)], None),
        ([(MAILBOX, ACCEPTED), (RANDOM, GREYLISTED)], None),
        ([(MAILBOX, ACCEPTED), (RANDOM, NO_PROMISE)], None),
        ([(MAILBOX, ACCEPTED), (RANDOM, FULL)], None),
        ([(MAILBOX, ACCEPTED), (RANDOM, RELAY)], None),
        ([(MAILBOX, UNCLEAR), (CONTROL, ACCEPTED)], None),
        ([(MAILBOX, UNCLEAR), (MAILBOX, ACCEPTED)], None),
        ([(MAILBOX, UNKNOWN), (RANDOM, ACCEPTED)], False),  # in doubt
        ([(MAILBOX, NO_PROMISE)], None),
    ],
)
def test_whether_a_domain_accepts_every_name(answers, is_catch_all):
    assert after(*answers).is_catch_all is is_catch_all


def test_a_refused_mailbox_must_do_where_no_made_up_name_may_be_asked():
    refused = after((MAILBOX, UNKNOWN), may_ask_made_up=False)
    assert refused.is_catch_all is False
    assert not refused.wants_made_up_name


@pytest.mark.parametrize(
    ("answers", "tells_apart"),
    [
        ([(MAILBOX, ACCEPTED)], None),
        ([(MAILBOX, UNCLEAR)], None),
        ([(MAILBOX, UNCLEAR), (CONTROL, ACCEPTED)], True),
        ([(MAILBOX, UNCLEAR), (MAILBOX, ACCEPTED)], True),
        ([(MAILBOX, ACCEPTED), (RANDOM, UNCLEAR)], True),
        ([(MAILBOX, ACCEPTED), (MAILBOX, RELAY)], None),
        ([(MAILBOX, ACCEPTED), (RANDOM, GREYLISTED)], None),
        ([(MAILBOX, UNCLEAR), (CONTROL, UNCLEAR)], False),
        ([(MAILBOX, UNCLEAR), (CONTROL, GREYLISTED)], None),
        ([(MAILBOX, ACCEPTED), (MAILBOX, FULL)], None),
    ],
)
def test_whether_a_domain_tells_names_apart(answers, tells_apart):
    assert after(*answers).tells_apart is tells_apart


def test_a_host_that_refuses_even_postmaster_overrules_what_was_known():
    assert after((MAILBOX, UNCLEAR), catch_all=False, tells_apart=True).tells_apart is True
    assert after((MAILBOX, UNCLEAR), (CONTROL, UNCLEAR), catch_all=False, tells_apart=True).tells_apart is False


def test_what_earlier_visits_found_holds_until_it_is_found_otherwise_twice():
    assert after((MAILBOX, ACCEPTED), catch_all=False).is_catch_all is False
    assert after((RANDOM, ACCEPTED), catch_all=False).is_catch_all is False
    assert after((RANDOM, ACCEPTED), catch_all=False, is_doubted=True).is_catch_all is False
    assert after((RANDOM, ACCEPTED), catch_all=False, is_doubted=True, may_confirm=True).is_catch_all is True


@pytest.mark.parametrize(
    ("answers", "known", "is_in_doubt"),
    [
        ([(RANDOM, ACCEPTED)], {}, False),
        ([(RANDOM, ACCEPTED)], {"catch_all": False}, True),
        ([(MAILBOX, UNKNOWN), (RANDOM, ACCEPTED)], {}, True),
        ([(RANDOM, UNKNOWN), (RANDOM, ACCEPTED)], {}, True),
        ([(RANDOM, ACCEPTED), (RANDOM, UNKNOWN)], {}, False),
        ([(RANDOM, GREYLISTED)], {"catch_all": False}, False),
        ([(RANDOM, UNKNOWN)], {"catch_all": False, "is_doubted": True}, False),
        ([(RANDOM, ACCEPTED)], {"catch_all": False, "is_doubted": True}, True),
        ([(RANDOM, ACCEPTED)], {"catch_all": False, "is_doubted": True, "may_confirm": True}, False),
        # it refuses some names even today
        ([(MAILBOX, UNKNOWN), (RANDOM, ACCEPTED)], {"is_doubted": True, "may_confirm": True}, True),
    ],
)
def test_a_host_that_accepts_what_it_refused_is_in_doubt(answers, known, is_in_doubt):
    knowledge = after(*answers, **known)
    assert knowledge.is_in_doubt is is_in_doubt
    if is_in_doubt:
        assert knowledge.is_catch_all is False
        assert not knowledge.wants_made_up_name


def test_a_mailbox_that_was_refused_and_is_accepted_brings_the_doubt_itself():
    knowledge = after(catch_all=False)
    knowledge.learn(MAILBOX, ACCEPTED, was_refused=True)
    assert knowledge.wants_made_up_name, "somebody may have made the mailbox meanwhile"
    knowledge.learn(RANDOM, UNKNOWN)
    assert not knowledge.wants_made_up_name
    assert not knowledge.is_in_doubt
    risen = after()
    risen.learn(MAILBOX, ACCEPTED, was_refused=True)
    risen.learn(RANDOM, ACCEPTED)
    assert risen.is_in_doubt


@pytest.mark.parametrize(
    ("second", "is_catch_all"), [(None, None), (ACCEPTED, True), (UNKNOWN, False), (GREYLISTED, None), (UNCLEAR, False)]
)
def test_a_large_domain_is_a_catch_all_when_it_accepts_two_made_up_names(second, is_catch_all):
    answers = [(MAILBOX, ACCEPTED), (RANDOM, ACCEPTED)] + ([(RANDOM, second)] if second else [])
    knowledge = after(*answers, names_needed=2)
    assert knowledge.is_catch_all is is_catch_all
    assert knowledge.wants_made_up_name is (is_catch_all is None)


def test_postmaster_alone_is_no_proof_that_many_others_do_not_exist():
    """Hosts that turn us away in vague words often let postmaster through."""
    vague = [(MAILBOX, UNCLEAR), (CONTROL, ACCEPTED), (RANDOM, UNCLEAR)]
    assert after(*vague).tells_apart is True
    assert after(*vague, *[(MAILBOX, UNCLEAR)] * 8).tells_apart is True
    many = after(*vague, *[(MAILBOX, UNCLEAR)] * 9, tells_apart=True)
    assert many.may_be_refusing_us
    assert many.tells_apart is None
    assert many.stop == UNCLEAR
    assert after(*vague, *[(MAILBOX, UNCLEAR)] * 9, (MAILBOX, ACCEPTED)).tells_apart is True


@pytest.mark.parametrize(
    ("answers", "stop"),
    [
        ([(MAILBOX, NOT_HOSTED)], None),
        ([(MAILBOX, NOT_HOSTED)] * 2, NOT_HOSTED),
        ([(MAILBOX, ACCEPTED), *[(MAILBOX, NOT_HOSTED)] * 9], None),
        ([(MAILBOX, UNKNOWN), *[(MAILBOX, NOT_HOSTED)] * 9], None),
        ([(MAILBOX, UNCLEAR)] * 9, None),
        ([(MAILBOX, UNCLEAR), (CONTROL, UNCLEAR)], None),
        ([*[(MAILBOX, UNCLEAR)] * 3, (CONTROL, UNCLEAR)], UNCLEAR),
        ([*[(MAILBOX, RELAY)] * 3, (CONTROL, RELAY)], RELAY),
        ([*[(MAILBOX, UNCLEAR)] * 3, (CONTROL, ACCEPTED)], None),
        ([*[(MAILBOX, UNCLEAR)] * 3, (CONTROL, UNCLEAR), (MAILBOX, ACCEPTED)], None),
        ([(MAILBOX, GREYLISTED)] * 9, None),
    ],
)
def test_when_asking_on_is_pointless(answers, stop):
    assert after(*answers).stop == stop


@given(st.lists(st.tuples(st.sampled_from([MAILBOX, RANDOM, CONTROL]), st.sampled_from(ALL)), max_size=8), st.data())
def test_answers_that_are_taken_back_leave_no_trace(answers, data):
    """In whichever order the others came; postmaster is only asked again after that."""
    seen: set[ProbeKind] = set()
    once = [a for a in answers if a[0] is not CONTROL or not (a[0] in seen or seen.add(a[0]))]
    fallen = data.draw(st.lists(st.sampled_from(range(len(once))), unique=True)) if once else []
    knowledge = after(*once)
    for index in fallen:
        knowledge.unlearn(*once[index])
    without = after(*(answer for index, answer in enumerate(once) if index not in fallen))
    assert (knowledge.is_catch_all, knowledge.tells_apart) == (without.is_catch_all, without.tells_apart)
    assert (knowledge.stop is None) == (without.stop is None)
    assert knowledge.answer_count == without.answer_count
    assert len(knowledge.made_up) == len(without.made_up)
