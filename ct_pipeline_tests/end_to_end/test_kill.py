"""A verifier that is killed at any moment loses nothing, and at most its last second is asked again.

What was asked, and when it was answered, is taken from the log of the mail hosts, which are another process.
"""

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from ct_pipeline.sandbox.command_log import LoggedCommand
from ct_pipeline.settings import Settings
from ct_pipeline_tests.end_to_end.pipeline import answered_probes, take_in, verdicts
from ct_pipeline_tests.end_to_end.small_world import SmallWorld, small_world, time_of
from ct_pipeline_tests.end_to_end.verifiers import Kill, Verifiers
from ct_pipeline_tests.end_to_end.waiting import wait_until

SEED = 20261102
KILL_COUNT = 30
LONGEST_LIFE_SECONDS = 2.2  # from its first question on: some keep nothing, the others most of what they asked

# The promise to users is a second. An answer is proven after 0.5 s and two replies, and committed within 0.25 s and the
# length of a merge. What that leaves of the second, and the slack, is for merges that wait for a busy machine.
LAST_SECOND = timedelta(seconds=1)
COMMIT_SLACK = timedelta(seconds=0.5)


def test_thirty_kills_lose_nothing_and_repeat_at_most_the_last_second(
    settings_for_tests: Settings, verifiers: Verifiers, tmp_path: Path
) -> None:
    dice = random.Random(SEED)
    with small_world(tmp_path, site_count=4, mailbox_count=1200, reply_seconds=0.02, has_catch_all=True) as world:
        settings = world.settings(settings_for_tests, smtp_concurrency=2, session_addresses=20)
        pull_id = take_in(settings, world.write_contacts(tmp_path / "contacts.csv"))
        lives = [dice.uniform(0, LONGEST_LIFE_SECONDS) for _ in range(KILL_COUNT)]
        print(f"seed {SEED}; killed after {', '.join(f'{seconds:.2f}' for seconds in lives)} s")
        kills = [live_and_die(world, settings, verifiers, seconds) for seconds in lives]
        verifiers.start("survivor", settings, until_free=True)
        survivor = verifiers.outcome("survivor")

        assert survivor.error == ""
        assert verdicts(settings, pull_id, tmp_path / "out.csv") == world.truth
        repeated = list(asked_again(world, kills))
        oldest = max((age for _, age in repeated), default=None)
        print(f"{len(world.truth)} addresses, {len(repeated)} answers asked for again, the oldest {oldest} old")
        assert [(answer, str(age)) for answer, age in repeated if age > LAST_SECOND + COMMIT_SLACK] == []
        given = Counter((said.address, said.code) for said in world.commands() if said.command == "RCPT")
        assert Counter(answered_probes(settings)) <= given, "the ledger holds no answer that no host gave"


def live_and_die(world: SmallWorld, settings: Settings, verifiers: Verifiers, seconds: float) -> Kill:
    """Start a verifier, and kill it ``seconds`` after its first question."""
    heard = world.news()
    verifiers.start("mortal", settings, until_free=True)
    wait_until(lambda: heard.count("CONNECT") and heard.count("RCPT"), lambda: verifiers.is_running("mortal"))
    time.sleep(seconds)
    kill = verifiers.kill("mortal")
    assert kill.was_running, "the work is to outlive the kills: give the world more mailboxes"
    return kill


def asked_again(world: SmallWorld, kills: list[Kill]) -> Iterator[tuple[LoggedCommand, timedelta]]:
    """Definitive answers that were asked for again, and how long before its death the asker got them.

    One that the asker was too dead to hear has a negative age; one for which nobody had to die between, an endless one.
    """
    begun = {command.session: time_of(command) for command in world.commands() if command.command == "CONNECT"}
    death = {session: next((k for k in kills if at <= k.after), None) for session, at in begun.items()}
    for answers in world.answers().values():
        for answer, following in itertools.pairwise(answers):
            kill = death[answer.session]
            if kill is None or kill is death[following.session]:
                yield answer, timedelta.max
            else:
                yield answer, kill.before - time_of(answer)
