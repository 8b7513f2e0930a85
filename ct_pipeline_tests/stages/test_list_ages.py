"""Each list tells its version and age, and an old one says how to renew it."""

import asyncio
import os
from datetime import UTC, date, datetime
from pathlib import Path

from ct_pipeline.addresses.operator_lists import NO_LISTS, OperatorLists
from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.doctor import examine
from ct_pipeline.stages.finding import Finding, State
from ct_pipeline.stages.list_ages import ListProvenance, findings_of_lists, list_provenances

LIST = ListProvenance("role words", "ct_pipeline 1.0", "role_words.toml", date(2026, 11, 1), 1234, "Upgrade it.")


def test_a_list_older_than_a_year_is_a_warning_with_its_mend() -> None:
    (fresh,) = findings_of_lists([LIST], date(2027, 11, 1))
    assert (fresh.state, fresh.mend) == (State.OK, "")
    assert fresh.what == "1,234 entries, ct_pipeline 1.0 of 2026-11-01"
    (old,) = findings_of_lists([LIST], date(2027, 11, 2))
    assert (old.state, old.mend) == (State.WARNING, "Upgrade it.")
    assert old.what.endswith("366 days old")


def test_every_list_of_the_package_has_entries_a_version_and_a_date_of_the_past() -> None:
    found = list_provenances(load_settings(), NO_LISTS)
    assert len({one.name for one in found}) == len(found) == 7
    for one in found:
        assert one.entry_count > 5, one.name
        assert one.version.split()[1][0].isdigit()
        assert date(2026, 1, 1) < one.dated <= datetime.now(UTC).date()
        assert one.source
        assert one.mend


def test_the_operators_lists_are_as_old_as_their_files(tmp_path: Path) -> None:
    path = tmp_path / "block.txt"
    path.write_text("example.com")
    os.utime(path, (0, 1_600_000_000))
    lists = OperatorLists(block=frozenset({"example.com"}))
    *_, block = list_provenances(load_settings(block_list=path), lists)
    assert (block.name, block.version, block.entry_count) == ("block list", "block.txt", 1)
    assert block.dated == date(2020, 9, 13)


async def local_findings(settings: Settings) -> dict[str, Finding]:
    """What ``doctor`` finds before it asks anyone."""
    found: dict[str, Finding] = {}
    async for finding in examine(settings, database_fault=LedgerUnavailableError("not looked at")):
        if finding.subject == "CleverTap":
            break
        found[finding.subject] = finding
    return found


def test_a_list_that_cannot_be_read_is_a_problem_and_the_others_are_told_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "block.txt"
    path.write_text("not one")
    found = asyncio.run(local_findings(load_settings(state_dir=tmp_path, block_list=path)))
    assert found["operator lists"].state is State.PROBLEM
    assert "block.txt, line 1" in found["operator lists"].mend
    assert found["role words"].state is State.OK
    path.write_text("one.example")
    found = asyncio.run(local_findings(load_settings(state_dir=tmp_path, block_list=path)))
    assert found["block list"].what.startswith("1 entry, block.txt of 20")
    assert "operator lists" not in found
