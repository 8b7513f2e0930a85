"""``ct-pipeline db``: the database by hand."""

import typer
from rich.console import Console

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings, load_settings

db = typer.Typer(no_args_is_help=True, help="The database: start and stop the embedded server, migrate, look at it.")


@db.command()
def start() -> None:
    """Start the embedded server and leave it running; `dev`, `verify` and `check` then use it and start faster."""
    from ct_pipeline.cli.running_database import keep_running
    from ct_pipeline.storage.embedded_postgres import start_embedded

    with told_plainly():
        settings = _with_embedded_server()
        start_embedded(settings)
        keep_running(settings)
        Console(highlight=False).print(f"Running in {settings.postgres_dir}")


@db.command()
def stop() -> None:
    """Stop the embedded server."""
    from ct_pipeline.storage.embedded_postgres import embedded_is_running, stop_embedded

    with told_plainly():
        settings = _with_embedded_server()
        was_running = embedded_is_running(settings)
        stop_embedded(settings)
        Console(highlight=False).print("Stopped." if was_running else "It was not running.")


@db.command()
def upgrade() -> None:
    """Bring the ledger's tables to what this version needs. Running it again changes nothing."""
    from ct_pipeline.cli.running_database import running_database
    from ct_pipeline.storage.database import resolve_database_url
    from ct_pipeline.storage.migrations import current_revision

    with told_plainly():
        settings = load_settings()
        with running_database(settings):
            revision = current_revision(resolve_database_url(settings))
        Console(highlight=False).print(f"The ledger stands at migration {revision}.")


@db.command()
def status() -> None:
    """Which database is used, and where its tables stand."""
    from ct_pipeline.storage.database import describe_url, resolve_database_url
    from ct_pipeline.storage.migrations import current_revision, latest_revision

    with told_plainly():
        settings = load_settings()
        url = resolve_database_url(settings)
        console = Console(highlight=False)
        where = describe_url(url) if settings.database_url else f"embedded, in {settings.postgres_dir}"
        console.print(f"Database   {where}", markup=False, soft_wrap=True)
        console.print(f"Migration  {current_revision(url) or 'none'} (this version needs {latest_revision()})")


@db.command()
def url() -> None:
    """Print the URL, for psql or a BI tool. It may hold a password: mind where you print it."""
    from ct_pipeline.storage.database import resolve_database_url

    with told_plainly():
        typer.echo(resolve_database_url(load_settings()))


def _with_embedded_server() -> Settings:
    settings = load_settings()
    if settings.database_url is not None:
        raise SettingsError("CT_DATABASE_URL names a server of your own: there is no embedded one to start or stop.")
    return settings
