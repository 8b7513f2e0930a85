"""``requirements.txt`` holds every package that ``pyproject.toml`` asks for, in a version it accepts."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ASKED = [
    *PROJECT["build-system"]["requires"],
    *PROJECT["project"]["dependencies"],
    *PROJECT["dependency-groups"]["dev"],
]
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")
# A package may be locked twice, for different Pythons.
PINS = [
    (canonicalize_name(name), version)
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", LOCK, re.MULTILINE)
]


@pytest.mark.parametrize("line", ASKED)
def test_what_is_asked_for_is_locked(line: str) -> None:
    requirement = Requirement(line)
    versions = [version for name, version in PINS if name == canonicalize_name(requirement.name)]
    assert any(requirement.specifier.contains(version, prereleases=True) for version in versions), "run make lock"


def test_every_locked_package_has_hashes() -> None:
    assert LOCK.count("--hash=sha256:") >= len(PINS) > len(ASKED)
    for package in re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in package, package


def test_the_lock_names_no_place_to_fetch_from() -> None:
    """Which mirror serves the packages is the business of the machine."""
    assert "://" not in LOCK
    assert not re.search(r"^\s*-", LOCK.replace("    --hash=sha256:", ""), re.MULTILINE)
