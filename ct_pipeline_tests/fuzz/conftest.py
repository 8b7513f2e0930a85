"""Where atheris has no wheel, its tests are not there: pyproject.toml says for which Pythons and machines it has."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if has_atheris():
        return
    left_out = [item for item in items if item.get_closest_marker("atheris")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def has_atheris() -> bool:
    """By the markers of the requirement, not by whether it is installed: where it ought to be, its absence fails."""
    groups = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["dependency-groups"]
    asked = [Requirement(line) for line in groups["dev"] if Requirement(line).name == "atheris"]
    assert asked
    return any(requirement.marker is None or requirement.marker.evaluate() for requirement in asked)
