"""Which answers of misbehaving hosts were asked for again although the verifier must have kept them.

Only sessions without a fault count: what a host breaks is rightly asked again. Of an accepted name nothing is kept
before its domain is settled, that is, before the made-up name was answered.
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from ct_pipeline_tests.end_to_end.chaos_world import Noted

# As in test_kill.py: the promise is a second, the slack is for merges that wait for a busy machine.
LOST_SECONDS = 1.0 + 0.5
HARMLESS = {"none", "slow", "split", "ehlo not known"}


@dataclass
class Life:
    """One verifier process. ``mishap_at`` is when it, or its database, was ended; times in seconds since the epoch."""

    started_at: float
    mishap: str = ""
    mishap_at: float = float("inf")

    def age_of(self, answered_at: float) -> float:
        """How long the answer was known before all that is not kept was lost; endless where nothing may be lost."""
        return float("inf") if self.mishap == "SIGTERM" else self.mishap_at - answered_at


@dataclass(frozen=True)
class Answer:
    """A true answer that a host gave, ``age_seconds`` before the verifier's mishap."""

    address: str
    at: float
    age_seconds: float
    mishap: str
    was_in_order: bool  # the session had no fault, and ended by QUIT or with the verifier

    @property
    def domain(self) -> str:
        return self.address.partition("@")[2]

    @property
    def is_kept(self) -> bool:
        return self.was_in_order and self.age_seconds > LOST_SECONDS


def asked_again(notes: list[Noted], lives: list[Life]) -> list[Answer]:
    """Final answers in order that another for the same address followed; those that ``is_kept`` should not be there."""
    answers = sorted(answers_of(notes, lives), key=lambda answer: answer.at)
    last_at = {answer.address: answer.at for answer in answers}
    settled_at: dict[str, float] = {}
    for answer in answers:
        if not answer.address.startswith(("live", "dead", "postmaster")) and answer.is_kept:
            settled_at.setdefault(answer.domain, answer.at)
    return [
        answer
        for answer in answers
        if answer.was_in_order and answer.at < last_at[answer.address] and is_final(answer, settled_at)
    ]


def is_final(answer: Answer, settled_at: dict[str, float]) -> bool:
    if answer.address.startswith("live"):
        return settled_at.get(answer.domain, float("inf")) < answer.at
    return answer.address.startswith("dead")


def answers_of(notes: list[Noted], lives: list[Life]) -> Iterator[Answer]:
    sessions: dict[tuple[int, int], list[Noted]] = defaultdict(list)
    for noted in notes:
        sessions[noted.host, noted.session].append(noted)
    births = [life.started_at for life in lives]
    for session in sessions.values():
        life = lives[bisect(births, session[0].at) - 1]
        in_order = was_in_order(session, life)
        for noted in session:
            if noted.what == "said":
                yield Answer(noted.detail, noted.at, life.age_of(noted.at), life.mishap, in_order)


def was_in_order(session: list[Noted], life: Life) -> bool:
    if session[0].detail not in HARMLESS:
        return False
    ended_at = next((noted.at for noted in session if noted.what == "end"), float("inf"))
    ended_with_verifier = life.mishap != "SIGTERM" and ended_at >= life.mishap_at
    return ended_with_verifier or any(noted.what == "quit" for noted in session)
