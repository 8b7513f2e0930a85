"""``ct-pipeline sandbox``: a small internet on loopback to learn and test with."""

import argparse
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """Example, in two terminals:

  ct-pipeline sandbox --contacts contacts.csv      # prints `export CT_…` lines

  ct-pipeline verify contacts.csv -o verified.csv  # after those lines
"""


def sandbox(
    smtp_port: Annotated[
        int, typer.Option(help="Port of all its mail hosts; 0: any free one.", min=0, max=65535)
    ] = 2525,
    dns: Annotated[
        str, typer.Option(metavar="IP:PORT", help="Where its DNS server listens, on loopback; port 0: any free one.")
    ] = "127.77.0.1:5353",
    greylist_seconds: Annotated[
        float, typer.Option(help="How long its greylisting hosts put off who is new.", min=0)
    ] = 20.0,
    log: Annotated[
        Path | None, typer.Option(help="Append every SMTP command it hears to this file, as JSON lines.")
    ] = None,
    contacts: Annotated[
        Path | None, typer.Option(help="Write a contact file of its population (CSV) to this file.")
    ] = None,
) -> None:
    """Serve DNS and mail hosts on this machine, and print the settings that point the pipeline at them."""
    from ct_pipeline.sandbox.__main__ import dns_endpoint, main

    try:
        dns_endpoint(dns)
    except argparse.ArgumentTypeError as error:
        raise typer.BadParameter(str(error), param_hint="--dns") from None
    arguments = ["--smtp-port", str(smtp_port), "--dns", dns, "--greylist-seconds", str(greylist_seconds)]
    arguments += ["--log", str(log)] if log else []
    arguments += ["--contacts", str(contacts)] if contacts else []
    raise typer.Exit(main(arguments))
