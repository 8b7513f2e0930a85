"""When a witness is asked, and who."""

import pytest

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.domain_knowledge import DomainKnowledge
from ct_pipeline.verification.probe import DueAddress, ProbeKind
from ct_pipeline.verification.questions import Question
from ct_pipeline.verification.refusal_streak import LONG_ROW
from ct_pipeline.verification.witness_watch import MAX_TRIES, WitnessWatch
from ct_pipeline_tests.verification.test_domain_knowledge import ACCEPTED, FULL, GREYLISTED, UNCLEAR, UNKNOWN

KNOWN = DomainKnowledge(known_catch_all=False)


def question(name: str, domain: str = "a.test", number: int = 1) -> Question:
    due = DueAddress(number, f"{name}@{domain}", domain, 0)
    return Question(ProbeKind.MAILBOX, domain, due.address, due)


def watch(*rows: tuple[str, Reading, int], heard: DomainKnowledge = KNOWN) -> WitnessWatch[str]:
    """Each row: the hosts, what they say, and how often."""
    of_site: WitnessWatch[str] = WitnessWatch()
    for hosts, reading, count in rows:
        for number in range(count):
            asked = question(f"n{number}", f"{hosts}.test", number)
            of_site.hear(hosts, asked, reading, heard)
    return of_site


def test_after_a_long_row_the_last_that_was_accepted_is_asked():
    of_site = watch(("x", ACCEPTED, 2), ("x", UNKNOWN, LONG_ROW))
    witness = of_site.take("x")
    assert witness == Question(ProbeKind.WITNESS, "x.test", "n1@x.test", witness_id=1)
    assert of_site.take("x") is None, "one at a time"


@pytest.mark.parametrize(
    "rows",
    [
        [("x", ACCEPTED, 1), ("x", UNKNOWN, LONG_ROW - 1)],
        [("x", UNKNOWN, LONG_ROW)],
        [("x", ACCEPTED, 1), ("x", UNKNOWN, LONG_ROW - 1), ("x", ACCEPTED, 1), ("x", UNKNOWN, LONG_ROW - 1)],
        [("x", ACCEPTED, 1), ("x", GREYLISTED, 50), ("x", FULL, 50), ("x", UNCLEAR, 50)],
    ],
)
def test_otherwise_nobody_is(rows):
    assert not watch(*rows).is_due_at("x")


def test_the_row_spans_the_site_and_the_hosts_that_accepted_last_are_visited_first():
    of_site = watch(("x", ACCEPTED, 1), ("y", ACCEPTED, 1), ("x", ACCEPTED, 1), ("z", UNKNOWN, LONG_ROW))
    assert list(of_site.hosts_to_visit()) == ["x", "y"]
    assert of_site.is_due_at("y")
    assert not of_site.is_due_at("z")
    assert of_site.take("z") is None


def test_a_catch_all_has_no_witness_also_when_it_shows_later():
    heard = DomainKnowledge()
    of_site = watch(("x", ACCEPTED, 1), ("x", UNKNOWN, LONG_ROW), heard=heard)
    assert of_site.is_due_at("x")
    heard.learn(ProbeKind.RANDOM, ACCEPTED)
    assert not of_site.is_due_at("x")
    assert list(of_site.hosts_to_visit()) == []
    assert of_site.take("x") is None


def test_an_accepted_witness_begins_a_new_row():
    of_site = watch(("x", ACCEPTED, 1), ("x", UNKNOWN, LONG_ROW))
    of_site.take("x")
    of_site.hear_witness(ACCEPTED)
    assert not of_site.is_due
    for number in range(LONG_ROW):
        of_site.hear("x", question(f"m{number}"), UNKNOWN, KNOWN)
    assert of_site.is_due


@pytest.mark.parametrize("refusal", [UNKNOWN, UNCLEAR])
def test_a_refused_witness_stops_the_site_until_that_is_proven_or_not(refusal: Reading):
    of_site = watch(("x", ACCEPTED, 1), ("x", UNKNOWN, LONG_ROW))
    of_site.take("x")
    of_site.hear_witness(refusal)
    assert of_site.is_refused
    of_site.put_back()
    assert not of_site.is_refused


def test_one_without_an_answer_is_tried_again_but_not_for_ever():
    of_site = watch(("x", ACCEPTED, 1), ("x", UNKNOWN, LONG_ROW))
    for _ in range(MAX_TRIES):
        assert of_site.take("x") is not None
        of_site.hear_witness(GREYLISTED)
    assert of_site.take("x") is None


def test_answers_that_were_not_proven_are_forgotten():
    of_site = watch(("x", UNKNOWN, LONG_ROW))
    accepted = question("ann")
    of_site.hear("x", accepted, ACCEPTED, KNOWN)
    of_site.forget("x", accepted, ACCEPTED)
    for number in range(LONG_ROW):
        of_site.hear("x", question(f"m{number}"), UNKNOWN, KNOWN)
    assert not of_site.is_due_at("x"), "its acceptance was none"
    of_site.hear("x", accepted, ACCEPTED, KNOWN)
    for number in range(LONG_ROW):
        of_site.hear("x", question(f"m{number}"), UNKNOWN, KNOWN)
    of_site.forget("x", question("m1"), UNKNOWN)
    assert not of_site.is_due
