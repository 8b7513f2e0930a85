"""Dagster's own configuration."""

import dagster as dg
import psycopg
from pydantic import SecretStr

from ct_pipeline.definitions import defs
from ct_pipeline.orchestration.instance import CLEVERTAP_READS, EXPORT, dagster_environment, write_dagster_home
from ct_pipeline.settings import Settings


def test_no_file_holds_the_password(settings: Settings) -> None:
    secret = settings.model_copy(update={"database_url": SecretStr("postgresql://ct:s3cret@127.0.0.1:5432/ct")})
    write_dagster_home(secret)
    assert "s3cret" in dagster_environment(secret)["CT_DAGSTER_DATABASE_URL"]
    written = [path.read_text() for path in secret.dagster_home.iterdir() if path.is_file()]
    assert written
    assert not any("s3cret" in text for text in written)


def test_runs_are_kept_in_a_schema_of_their_own(instance: dg.DagsterInstance, ledger_url: str) -> None:
    assert instance.get_runs_count() == 0
    with psycopg.connect(ledger_url) as connection:
        schemas = connection.execute("select schemaname from pg_tables where tablename = 'runs'").fetchall()
    assert schemas == [("dagster",)]


def test_an_unchanged_configuration_is_not_written_again(settings: Settings) -> None:
    write_dagster_home(settings)
    path = settings.dagster_home / "dagster.yaml"
    before = path.stat().st_ino
    write_dagster_home(settings)
    assert path.stat().st_ino == before


def test_one_run_at_a_time_reads_from_clevertap_and_one_plans_pushes_or_undoes(instance: dg.DagsterInstance) -> None:
    config = instance.get_concurrency_config().pool_config
    assert config.default_pool_limit == 1
    assert config.pool_granularity is not None
    assert config.pool_granularity.value == "run"
    pools = {
        job: {pool for node in defs.resolve_job_def(job).graph.nodes for pool in node.definition.pools}
        for job in ("pull_day", "pull_audience", "plan", "push", "undo_batch")
    }
    assert pools["pull_day"] == pools["pull_audience"] == {CLEVERTAP_READS}
    assert pools["plan"] == pools["push"] == pools["undo_batch"] == {EXPORT}
