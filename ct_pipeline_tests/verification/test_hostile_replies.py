"""Hosts that greet well and then do their worst: nothing is believed that is not proven, and everybody stays due."""

import pytest

from ct_pipeline_tests.verification.hostile_host import Session, Trick, changes, ends, says, silence, stays
from ct_pipeline_tests.verification.hostile_tricks import GOING, no_smtp, silent
from ct_pipeline_tests.verification.hostile_visit import visits

WRONG_CODE = {
    "220": says(b"220 2.0.0 Ready\r\n"),
    "221": says(b"221 2.0.0 Bye\r\n"),
    "354": says(b"354 go ahead\r\n"),
    "235": says(b"235 2.7.0 Authentication successful\r\n"),
}


@pytest.mark.parametrize("stage", ["MAIL", "RCPT"])
@pytest.mark.parametrize(
    ("tricks", "outcome"),
    [(silent(b"250"), "timeout"), (GOING, "lost"), (no_smtp(b"250"), "out_of_step"), (WRONG_CODE, "out_of_step")],
    ids=["silent", "going", "not SMTP", "wrong code"],
)
def test_a_host_that_never_answers_leaves_everybody_due(stage: str, tricks: dict[str, Trick], outcome: str) -> None:
    seen = visits(stage, tricks)
    assert {name: visit.outcomes for name, visit in seen.items()} == {name: {outcome} for name in tricks}
    assert [name for name, visit in seen.items() if not visit.is_all_due] == []
    assert all(len(visit.page.sessions) <= 3 for visit in seen.values()), "and is soon left alone"


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "NOOP", "QUIT"])
def test_a_host_that_always_says_too_much_is_never_wrong(stage: str) -> None:
    """Before, with and after its answer. Whatever is not provable stays due."""
    stray, unknown = b"250 2.1.5 Ok\r\n", b"550 5.1.1 User unknown\r\n"
    tricks = {
        "with it": changes(lambda reply: [reply + stray]),
        "a moment later": changes(lambda reply: [reply, stray]),
        "before it": changes(lambda reply: [stray + reply]),
        "a refusal before it": changes(lambda reply: [unknown, reply]),
        "half a reply with it": changes(lambda reply: [reply + b"55"]),
        "a hundred": changes(lambda reply: [reply + stray * 100]),
        "twice, cut": changes(lambda reply: [bytes([byte]) for byte in reply * 2]),
        "nonsense with it": changes(lambda reply: [reply + b"\x00\xff\r\n"]),
    }
    seen = visits(stage, tricks)
    if stage in ("MAIL", "RCPT"):
        assert {outcome for visit in seen.values() for outcome in visit.outcomes} == {"out_of_step"}
        assert [name for name, visit in seen.items() if not visit.is_all_due] == []


@pytest.mark.parametrize("extensions", [("ENHANCEDSTATUSCODES",), (), ("SIZE 1000",)], ids=repr)
@pytest.mark.parametrize("stage", ["QUIT", "NOOP"])
def test_a_host_that_ends_badly_is_asked_in_a_way_that_proves_each_answer(
    stage: str, extensions: tuple[str, ...]
) -> None:
    tricks = {
        "closes": ends(),
        "resets": ends(by_reset=True),
        "half a reply": ends(b"22"),
        "silence": silence,
        "never closes": stays(),
        "answers 250": says(b"250 2.0.0 Ok\r\n"),
        "answers 250 and stays": stays(b"250 2.0.0 Ok\r\n"),
        "answers 500": says(b"500 5.5.1 What?\r\n"),
    }
    seen = visits(stage, tricks, extensions=extensions)
    assert [name for name, visit in seen.items() if not visit.is_all_right] == []


def test_a_host_that_ends_in_nonsense_has_proven_nothing() -> None:
    (visit,) = visits("QUIT", {"nonsense": says(b"Bye!\r\n")}).values()
    assert visit.outcomes == {"out_of_step"}
    assert visit.is_all_due


def test_a_host_that_says_ok_to_everything_proves_nothing() -> None:
    """Also to nonsense, to QUIT and to names that nobody has."""
    (visit,) = visits("", {"250": greets_and_says_ok}).values()
    assert visit.is_all_due
    assert not visit.page.catch_all_facts


async def greets_and_says_ok(session: Session, reply: bytes) -> bool:
    await session.say(reply if reply.startswith(b"220") else b"250 Ok\r\n")
    return True


def test_odd_texts_and_cuts_do_no_harm() -> None:
    """The codes count. What is kept of the text is clean."""
    texts = {
        "bare LF": [b"\r\n", b"\n"],
        "many CRs": [b"\r\n", b"\r\r\r\n"],
        "8-bit": [b"User", "Empfänger".encode("latin-1")],
        "broken UTF-8": [b"User", b"\xf0\x9f\xff\xc0\xaf\xed\xa0\x80"],
        "NULs and controls": [b"User", b"\x00\x07\x1b[31m\x7f\xe2\x80\xae\xe2\x80\xa8\xc2\x85"],
        "long": [b"User", b"User" * 3000],
    }
    tricks = {
        name: changes(lambda reply, old=old, new=new: [reply.replace(old, new)]) for name, (old, new) in texts.items()
    }
    tricks["single bytes"] = changes(lambda reply: [bytes([byte]) for byte in reply])
    for stage in ("RCPT", ""):
        seen = visits(stage, tricks)
        assert [name for name, visit in seen.items() if not visit.is_all_right] == []
