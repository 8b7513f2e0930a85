"""A contact list of a test's own: taken in once, verified as often as the test likes."""

import csv
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.stages.domains import look_up_domains
from ct_pipeline.stages.intake import normalize_new_pulls, take_in_contact_file
from ct_pipeline.stages.judge import judge_unjudged
from ct_pipeline.stages.lists import write_list
from ct_pipeline.stages.verify import verify_lanes
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline_tests.real_servers.real_server import RealServer


class ContactList:
    """``addresses`` in the ledger of ``settings``; ``folder`` holds the files."""

    def __init__(self, settings: Settings, folder: Path, addresses: Iterable[str]) -> None:
        self._settings = settings
        self._out = folder / "verified.csv"
        source = folder / "contacts.csv"
        source.write_text("".join(f"{line}\n" for line in ("Email", *addresses)))
        self._pull_id = take_in_contact_file(settings, source).pull_id
        normalize_new_pulls(settings)

    def verify(self) -> dict[str, dict[str, str]]:
        """Ask whatever is due, through every stage; the rows of the list file by address."""
        look_up_domains(self._settings)
        verify_lanes(self._settings, lane_keys(load_providers()))
        judge_unjudged(self._settings)
        write_list(self._settings, self._pull_id, self._out)
        with self._out.open(newline="") as file:
            return {row["Email"]: row for row in csv.DictReader(file)}

    def visits(self, server: RealServer, most: int) -> Iterator[dict[str, dict[str, str]]]:
        """The rows after each visit until ``server`` has answered everything; fails after ``most``.

        Between two visits a second passes, in which anvil and postgrey forget where a test says so.
        """
        for number in range(most):
            if number:
                time.sleep(1)
                self.let_time_pass()
            rows = self.verify()
            assert dishonest(rows, server) == {}
            yield rows
            if statuses(rows) == truth(server):
                return
        pytest.fail(f"not all is answered after {most} visits: {statuses(self.verify())}")

    def let_time_pass(self) -> None:
        """All that was put off is due now, as if the wait were over."""
        with open_ledger(self._settings) as conn:
            conn.execute("update ledger.due set next_attempt_at = now() where next_attempt_at > now()")
            conn.execute("update ledger.site_memories set breaker_until_at = now() where breaker_until_at > now()")


def verified(settings: Settings, folder: Path, addresses: Iterable[str]) -> dict[str, dict[str, str]]:
    """The rows of a list that is verified once."""
    return ContactList(settings, folder, addresses).verify()


def statuses(rows: dict[str, dict[str, str]]) -> dict[str, str]:
    """The verdicts in one word, by address."""
    return {email: row["status"] for email, row in rows.items()}


def truth(server: RealServer) -> dict[str, str]:
    """What they should be at ``server``, by its own table of users."""
    return {**dict.fromkeys(server.live_addresses, "valid"), **dict.fromkeys(server.dead_addresses, "invalid")}


def dishonest(rows: dict[str, dict[str, str]], server: RealServer) -> dict[str, dict[str, str]]:
    """The rows that are neither right nor unknown and still to be asked; there should be none, whatever happened."""
    return {
        email: row
        for email, row in rows.items()
        if row["status"] != truth(server)[email] and not (row["status"] == "unknown" and row["next_check_at"])
    }
