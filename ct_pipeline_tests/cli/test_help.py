"""``--help``: at once, for every command, with an example where a call takes arguments."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from ct_pipeline.cli import app


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, (*path, name))
        else:
            assert isinstance(command, TyperCommand)
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_says_what_it_is_for(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert (command.help or "").rstrip().endswith(".")
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{parameter.name} has no help"
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0
    takes_arguments = any(parameter.param_type_name == "argument" for parameter in command.params)
    assert not takes_arguments or f"ct-pipeline {' '.join(path)} " in shown.stdout.partition("Example")[2]


def test_no_arguments_show_the_help() -> None:
    assert "verify" in CliRunner().invoke(app, []).output


def test_the_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"ct-pipeline {version('ct-pipeline')}\n"


def test_help_waits_for_no_heavy_import() -> None:
    heavy = {"dagster", "polars", "psycopg", "sqlalchemy", "dns", "aiosmtplib", "email_validator"}
    code = f"import sys; from ct_pipeline.cli import app; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
