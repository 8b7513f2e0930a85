"""``ct-pipeline sandbox``: a small internet on loopback to learn and test with."""

from pathlib import Path
from typing import Annotated

import typer


def sandbox(
    smtp_port: Annotated[int, typer.Option(help="Port of all its mail hosts.", min=1, max=65535)] = 2525,
    dns: Annotated[str, typer.Option(help="Loopback address and port of its DNS server.")] = "127.77.0.1:5353",
    log: Annotated[Path | None, typer.Option(help="Write every SMTP command it hears there, as JSON lines.")] = None,
    contacts: Annotated[Path | None, typer.Option(help="Write a contact file of its population there (CSV).")] = None,
) -> None:
    """Serve DNS and mail hosts on this machine, and print the settings that point the pipeline at them."""
    from ct_pipeline.sandbox.__main__ import main

    arguments = ["--smtp-port", str(smtp_port), "--dns", dns]
    arguments += ["--log", str(log)] if log else []
    arguments += ["--contacts", str(contacts)] if contacts else []
    raise typer.Exit(main(arguments))
