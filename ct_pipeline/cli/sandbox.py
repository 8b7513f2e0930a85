"""``ct-pipeline sandbox``: a small internet with a CleverTap account on loopback, to learn and test with."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """Example, in two terminals:

  ct-pipeline sandbox                              # prints `export CT_…` lines

  ct-pipeline doctor && ct-pipeline pull           # after those lines

On a bad day of CleverTap's, and with profiles of your own:

  ct-pipeline sandbox --faults harsh --set count_polls=3 --profile-file people.csv

Without CleverTap:

  ct-pipeline sandbox --profiles 0 --contacts contacts.csv

  ct-pipeline verify contacts.csv -o verified.csv
"""
CLEVERTAP = "The simulated CleverTap account"


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
    profiles: Annotated[
        int, typer.Option(help="How many profiles it has; 0: there is no CleverTap.", min=0, rich_help_panel=CLEVERTAP)
    ] = 20_000,
    profile_file: Annotated[
        Path | None,
        typer.Option(help="Profiles of your own instead, as JSON or CSV.", rich_help_panel=CLEVERTAP),
    ] = None,
    account: Annotated[
        Path | None,
        typer.Option(help="Keep the account in this file, and begin as it was left there.", rich_help_panel=CLEVERTAP),
    ] = None,
    clevertap_port: Annotated[
        int, typer.Option(help="Port of its API; 0: any free one.", min=0, max=65535, rich_help_panel=CLEVERTAP)
    ] = 8750,
    clevertap_log: Annotated[
        Path | None,
        typer.Option(help="Append every API call to this file, as JSON lines.", rich_help_panel=CLEVERTAP),
    ] = None,
    seed: Annotated[int, typer.Option(help="Other people and other accidents.", rich_help_panel=CLEVERTAP)] = 0,
    faults: Annotated[
        str,
        typer.Option(
            metavar="none|mild|harsh",
            help="What its API goes through: a good day, a usual one, or everything at once.",
            rich_help_panel=CLEVERTAP,
        ),
    ] = "none",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="One fault or switch of docs/reference/sandbox.md, such as server_errors=0.1; may be repeated.",
            rich_help_panel=CLEVERTAP,
        ),
    ] = None,
) -> None:
    """Serve DNS, mail hosts and a CleverTap account on this machine, and print the settings that lead there."""
    from ct_pipeline.sandbox.__main__ import dns_endpoint, fault_setting, main
    from ct_pipeline.sandbox.clevertap.faults import FAULT_PROFILES

    _check("--dns", dns_endpoint, dns)
    for setting in set_ or ():
        _check("--set", fault_setting, setting)
    if faults not in FAULT_PROFILES:
        raise typer.BadParameter(f"{faults!r} is none of {', '.join(FAULT_PROFILES)}", param_hint="--faults")
    arguments = ["--smtp-port", str(smtp_port), "--dns", dns, "--greylist-seconds", str(greylist_seconds)]
    arguments += ["--profiles", str(profiles), "--clevertap-port", str(clevertap_port)]
    arguments += ["--seed", str(seed), "--faults", faults]
    files = {"--log": log, "--contacts": contacts, "--profile-file": profile_file, "--clevertap-log": clevertap_log}
    files["--account"] = account
    for flag, path in files.items():
        arguments += [flag, str(path)] if path else []
    for setting in set_ or ():
        arguments += ["--set", setting]
    raise typer.Exit(main(arguments))


def _check(flag: str, parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except argparse.ArgumentTypeError as error:
        raise typer.BadParameter(str(error), param_hint=flag) from None
