"""The rules version changes with everything that may change a verdict, and with nothing else."""

from pathlib import Path

import pytest

from ct_pipeline.settings import load_settings
from ct_pipeline.stages.rules_in_force import rules_in_force, rules_version, version_of
from ct_pipeline.vocabulary import GibberishThreshold, VerifyMode


@pytest.mark.parametrize(
    "change",
    [
        {"role_is_safe": True},
        {"fresh_for_days": 31},
        {"probe_forbidden": True},
        {"gibberish": GibberishThreshold.HIGH},
    ],
)
def test_settings_that_change_verdicts_change_the_version(change: dict[str, object]) -> None:
    assert rules_version(load_settings(**change)) != rules_version(load_settings())


@pytest.mark.parametrize("change", [{"verify_mode": VerifyMode.FASTEST_TURNAROUND}, {"smtp_concurrency": 7}])
def test_settings_that_only_change_how_we_ask_do_not(change: dict[str, object]) -> None:
    assert rules_version(load_settings(**change)) == rules_version(load_settings())


def test_the_operators_lists_change_the_version_by_their_entries(tmp_path: Path) -> None:
    path = tmp_path / "block.txt"
    path.write_text("shop.example\n")
    settings = load_settings(block_list=path)
    with_entry = rules_version(settings)
    assert with_entry != rules_version(load_settings())
    path.write_text("# never again\nshop.example\n")
    assert rules_version(settings) == with_entry


def test_every_part_has_a_version_and_counts() -> None:
    in_force = rules_in_force(load_settings())
    assert {"judge", "reply rules", "providers", "score priors", "disposable domains"} <= in_force.parts.keys()
    assert all(in_force.parts.values())
    others = {version_of({**in_force.parts, part: "another"}) for part in in_force.parts}
    assert len(others) == len(in_force.parts)
    assert in_force.version == version_of(in_force.parts) not in others
