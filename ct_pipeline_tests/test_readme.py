"""README.md and the program say the same.

The table of settings in README.md is made from ``Settings``; this writes it anew::

    python ct_pipeline_tests/test_readme.py
"""

import os
import re
import sys
from collections.abc import Iterator
from enum import Enum, StrEnum
from pathlib import Path

import pytest
import typer.main
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.core import TyperGroup

from ct_pipeline.cli import app
from ct_pipeline.setting_values import allowed_values
from ct_pipeline.settings import Settings, misspelt_variables

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN = "<!-- settings: begin (python ct_pipeline_tests/test_readme.py writes this table) -->\n"
END = "<!-- settings: end -->\n"


def settings_table() -> str:
    """The Markdown table of every setting: variable, default, what it may be, what it means."""
    rows = [("variable", "default", "values", "meaning"), ("---", "---", "---", "---")]
    for name, field in Settings.model_fields.items():
        rows.append((f"`CT_{name.upper()}`", _default(field), _values(name, field), field.description or ""))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def test_the_table_of_settings_is_up_to_date() -> None:
    assert _table_in(README.read_text()) == settings_table(), (
        "README.md's table of settings is not that of Settings. Write it anew with "
        "`python ct_pipeline_tests/test_readme.py`."
    )


def test_every_setting_says_what_it_means() -> None:
    for name, field in Settings.model_fields.items():
        assert (field.description or "").endswith("."), f"{name} has no description, or not a whole sentence"
        assert "|" not in (field.description or ""), f"{name}: a | would break the table"


def test_every_variable_that_the_readme_names_is_a_setting() -> None:
    named = set(re.findall(r"\bCT_[A-Z_]+\b", README.read_text()))
    assert len(named) > 5
    assert named <= {f"CT_{name.upper()}" for name in Settings.model_fields}


def test_every_command_that_the_readme_names_exists() -> None:
    named = sorted(set(_commands_in(README.read_text())))
    assert len(named) >= 5
    for words in named:
        command = typer.main.get_command(app)
        for word in words:
            assert isinstance(command, TyperGroup), f"`ct-pipeline {' '.join(words)}` has no subcommands"
            assert word in command.commands, f"README.md names `ct-pipeline {' '.join(words)}`, which does not exist"
            command = command.commands[word]


def test_every_option_that_the_readme_gives_to_a_command_exists() -> None:
    calls = re.findall(r"ct-pipeline ([a-z]+)\b([^`\n]*)", README.read_text())
    given = [(name, option) for name, rest in calls for option in re.findall(r"(?<= )--?[a-z][a-z-]*", rest)]
    assert ("verify", "-o") in given
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, option in given:
        known = {word for parameter in group.commands[name].params for word in parameter.opts}
        assert option in known, f"README.md gives `ct-pipeline {name}` the option {option}, which it does not have"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README.read_text()))))
def test_every_file_that_the_readme_links_to_exists(target: str) -> None:
    assert (ROOT / target).exists()


def test_a_misspelt_setting_is_told_from_other_peoples_variables() -> None:
    given = ["CT_MAILFROM", "CT_NAMESERVER", "CT_MAIL_FROM", "CTEST_OUTPUT", "HOME", "CT_ENTIRELY_DIFFERENT"]
    assert misspelt_variables(given) == {"CT_MAILFROM": "CT_MAIL_FROM", "CT_NAMESERVER": "CT_NAMESERVERS"}


def _commands_in(text: str) -> Iterator[tuple[str, ...]]:
    for match in re.finditer(r"ct-pipeline ((?:[a-z]+\b ?)+)", text):
        first, *rest = match[1].split()
        yield (first, rest[0]) if first == "db" and rest else (first,)


def _table_in(text: str) -> str:
    assert BEGIN in text, f"README.md lacks the line {BEGIN!r}"
    return text.partition(BEGIN)[2].partition(END)[0]


def _values(name: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "values" in extra:
        return str(extra["values"])
    if words := allowed_values(name, field):
        return words
    kinds = {"Path": "a folder", "SecretStr": "a URL", "tuple": "a list", "str": "text"}
    return next(words for kind, words in kinds.items() if kind in str(field.annotation))


def _default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default" in extra:
        return str(extra["default"])
    value = field.default
    assert value is not PydanticUndefined, f"say the default of {field.description!r} in json_schema_extra"
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, StrEnum):
        return value.value
    assert not isinstance(value, SecretStr | Enum | os.PathLike)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    before, _, rest = README.read_text().partition(BEGIN)
    if not rest:
        sys.exit(f"README.md lacks the line {BEGIN!r}")
    README.write_text(before + BEGIN + settings_table() + END + rest.partition(END)[2])
