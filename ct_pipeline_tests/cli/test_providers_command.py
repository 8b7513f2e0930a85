"""``ct-pipeline providers``: all rows, and one by its name, a mail host or a free domain. Needs no database."""

import pytest
from typer.testing import CliRunner, Result

from ct_pipeline.cli import app
from ct_pipeline.domains.providers import load_providers


def shown(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["providers", *arguments])


def test_all_rows_and_how_old_they_are() -> None:
    lines = shown().stdout.splitlines()
    assert {line.split()[0] for line in lines[1:-1]} == {row.name for row in load_providers().rows}
    assert lines[-1] == load_providers().provenance


@pytest.mark.parametrize("whom", ["gmx", "mx00.gmx.net", "MX00.GMX.net.", "web.de"])
def test_one_row_with_the_source_of_each_claim(whom: str) -> None:
    result = shown(whom)
    assert result.exit_code == 0
    assert "gmx  GMX and web.de, with a lane of its own\n" in result.stdout
    assert "  limits       4 connections, 20 addresses a session\n               KumoMTA community" in result.stdout
    assert "  made-up name own session\n" in result.stdout
    assert "  a 250        believed\n               none (2026-11)\n" in result.stdout


def test_a_host_of_nobodys_row_says_what_holds_for_it() -> None:
    result = shown("gmx", "mx.example.com")
    assert result.exit_code == 1
    assert "GMX and web.de" in result.stdout
    assert "mx.example.com: of nobody's row, so that its site has the settings' limits" in result.stdout
