"""``ct-pipeline db`` and the database that commands start by themselves."""

from pathlib import Path

from ct_pipeline.cli.running_database import running_database
from ct_pipeline.settings import load_settings
from ct_pipeline.storage.embedded_postgres import embedded_is_running
from ct_pipeline_tests.cli.conftest import CommandLine


def test_upgrade_and_status_of_a_server_of_ones_own(cli: CommandLine, empty_database_url: str) -> None:
    before = cli("db", "status", CT_DATABASE_URL=empty_database_url)
    assert before.exit_code == 0
    assert "Migration  none (this version needs " in before.stdout
    upgraded = cli("db", "upgrade", CT_DATABASE_URL=empty_database_url)
    assert upgraded.stdout.startswith("The ledger stands at migration ")
    assert cli("db", "upgrade", CT_DATABASE_URL=empty_database_url).stdout == upgraded.stdout
    assert "none" not in cli("db", "status", CT_DATABASE_URL=empty_database_url).stdout
    assert cli("db", "url", CT_DATABASE_URL=empty_database_url).stdout == f"{empty_database_url}\n"


def test_there_is_no_embedded_server_to_stop_where_a_url_is_set(cli: CommandLine) -> None:
    for command in ("start", "stop"):
        result = cli("db", command)
        assert result.exit_code == 1
        assert "CT_DATABASE_URL names a server of your own" in result.stderr


def test_status_of_an_embedded_server_that_does_not_run(cli: CommandLine, state_folder: Path) -> None:
    result = cli("db", "status", CT_DATABASE_URL=None, CT_STATE_DIR=str(state_folder))
    assert result.exit_code == 1
    assert "Start it with `ct-pipeline db start`" in result.stderr


def test_the_embedded_server_runs_as_long_as_it_is_wanted(cli: CommandLine, state_folder: Path) -> None:
    own = {"CT_DATABASE_URL": None, "CT_STATE_DIR": str(state_folder)}
    settings = load_settings(state_dir=state_folder, database_url=None)
    try:
        # one that a command starts is stopped by the last command that uses it
        said: list[str] = []
        with running_database(settings, said.append):
            with running_database(settings, said.append):
                assert embedded_is_running(settings)
            assert embedded_is_running(settings), "the first command still uses it"
        assert not embedded_is_running(settings)
        assert said == ["Starting the database …"]

        # the starter may be the first to end
        first, second = running_database(settings), running_database(settings)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert embedded_is_running(settings), "the second command still uses it"
        second.__exit__(None, None, None)
        assert not embedded_is_running(settings)

        # one that the user starts goes on
        assert cli("db", "start", **own).stdout == f"Running in {settings.postgres_dir}\n"
        assert cli("check", "nobody", **own).exit_code == 0
        assert embedded_is_running(settings)
        status = cli("db", "status", **own)
        assert f"Database   embedded, in {settings.postgres_dir}\n" in status.stdout
    finally:
        stopped = cli("db", "stop", **own)
    assert stopped.stdout == "Stopped.\n"
    assert cli("db", "stop", **own).stdout == "It was not running.\n"
