"""``python -m ct_pipeline.sandbox``: run the sandbox until it is interrupted.

Prints the CT_ variables that point a pipeline at it, then one line that begins with ``sandbox ready``.
"""

import argparse
import asyncio
import ipaddress
import json
import shlex
import signal
import sys
from pathlib import Path

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.clevertap.account_file import read_account_file
from ct_pipeline.sandbox.clevertap.faults import FAULT_PROFILES, Switches, change_settings, fault_profile
from ct_pipeline.sandbox.contact_file import write_contact_file
from ct_pipeline.sandbox.internet import DNS_ADDRESS, DNS_PORT, GREYLIST_SECONDS, SMTP_PORT, Sandbox
from ct_pipeline.sandbox.population import PACKAGED_FOLDER
from ct_pipeline.setting_values import split_nameserver

READY = "sandbox ready"
CLEVERTAP_PORT = 8750
PROFILE_COUNT = 20_000


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 when it was interrupted, 2 when it could not start."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_run(options))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'the sandbox'}: {error.strerror or error}\n")
        return 2
    return 0


async def _run(options: argparse.Namespace) -> None:
    interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
    if options.until_stdin_ends:
        asyncio.get_running_loop().add_reader(sys.stdin, interrupted.set)
    address, port = options.dns
    faults, switches = fault_profile(options.faults, options.seed), Switches()
    change_settings(faults, switches, dict(options.set or ()))
    sandbox = Sandbox(
        folder=options.folder,
        smtp_port=options.smtp_port,
        dns_address=address,
        dns_port=port,
        log_path=options.log,
        greylist_seconds=options.greylist_seconds,
        reply_seconds=options.reply_seconds,
        profiles=read_account_file(options.profile_file) if options.profile_file else None,
        profile_count=0 if options.profile_file else options.profiles,
        account_path=options.account,
        seed=options.seed,
        clevertap_port=options.clevertap_port,
        clevertap_log_path=options.clevertap_log,
        faults=faults,
        switches=switches,
    )
    if options.contacts:
        write_contact_file(options.contacts, options.folder)
    async with sandbox:
        for name, value in sandbox.environment.items():
            _say(f"export {name}={shlex.quote(value)}")
        _say(
            f"{READY}: {sandbox.machine_count} mail hosts on port {sandbox.smtp_port}, DNS on {sandbox.nameserver}, "
            f"{len(sandbox.inhabitants.domains)} domains, {len(sandbox.inhabitants.mailboxes)} mailboxes"
            f"{_account_in_words(sandbox)}. Ctrl-C ends it."
        )
        await interrupted.wait()
    _say(
        f"sandbox ended: {sandbox.command_count('CONNECT')} sessions, {sandbox.command_count('RCPT')} recipients "
        f"asked, {sandbox.data_offences} attempts to send a message"
        + (f", {len(sandbox.clevertap.requests)} API calls" if sandbox.has_clevertap else "")
    )


def _account_in_words(sandbox: Sandbox) -> str:
    if not sandbox.has_clevertap:
        return ""
    clevertap = sandbox.clevertap
    with_email_count = sum(profile.email is not None for profile in clevertap.account.profiles)
    return (
        f"; CleverTap on {clevertap.base_url}, {len(clevertap.account.profiles)} profiles, "
        f"{with_email_count} of them with an email"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ct_pipeline.sandbox",
        description="A small internet on loopback: DNS, mail hosts and a population with known truth.",
    )
    parser.add_argument("--smtp-port", type=int, default=SMTP_PORT, help="port of all mail hosts; 0: any (%(default)s)")
    parser.add_argument(
        "--dns",
        type=dns_endpoint,
        default=(DNS_ADDRESS, DNS_PORT),
        metavar="IP:PORT",
        help=f"where the DNS server listens; port 0: any ({DNS_ADDRESS}:{DNS_PORT})",
    )
    parser.add_argument("--log", type=Path, help="append every SMTP command to this file, one JSON object per line")
    parser.add_argument(
        "--greylist-seconds", type=float, default=GREYLIST_SECONDS, help="wait of greylisting hosts (%(default)s)"
    )
    parser.add_argument(
        "--reply-seconds", type=float, default=0.0, help="what a host takes to answer a command (%(default)s)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=PACKAGED_FOLDER,
        help="hosts.csv, domains.csv and population.csv of another internet",
    )
    parser.add_argument("--contacts", type=Path, help="also write the population to this CSV as a contact file")
    _add_clevertap_options(parser)
    parser.add_argument(
        "--until-stdin-ends", action="store_true", help="end with standard input, so with the program that started us"
    )
    return parser


def _add_clevertap_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the simulated CleverTap account")
    group.add_argument(
        "--profiles", type=int, default=PROFILE_COUNT, help="how many it has; 0: there is no CleverTap (%(default)s)"
    )
    group.add_argument("--profile-file", type=Path, help="profiles of your own instead, as JSON or CSV")
    group.add_argument("--account", type=Path, help="keep the account in this file, and begin as it was left there")
    group.add_argument(
        "--clevertap-port", type=int, default=CLEVERTAP_PORT, help="port of its API; 0: any (%(default)s)"
    )
    group.add_argument("--clevertap-log", type=Path, help="append every API call to this file, as JSON lines")
    group.add_argument("--seed", type=int, default=0, help="other people and other accidents (%(default)s)")
    group.add_argument(
        "--faults", default="none", choices=FAULT_PROFILES, help="what its API goes through (%(default)s)"
    )
    group.add_argument(
        "--set", type=fault_setting, action="append", metavar="NAME=VALUE", help="one fault or switch; may be repeated"
    )


def fault_setting(text: str) -> tuple[str, object]:
    """``("server_errors", 0.1)`` from ``server_errors=0.1``; a value is JSON, or else text.

    Raises:
        argparse.ArgumentTypeError: there is no ``=`` in it.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as server_errors=0.1")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value.strip()


def dns_endpoint(text: str) -> tuple[str, int]:
    """Address and port from ``ip:port`` on loopback; port 0 is any free one.

    Raises:
        argparse.ArgumentTypeError: it is something else.
    """
    is_any_port = text.endswith(":0")  # no nameserver setting would allow it
    try:
        address, port = split_nameserver(text[:-1] + "1" if is_any_port else text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, such as {DNS_ADDRESS}:{DNS_PORT}") from None
    if not ipaddress.ip_address(address).is_loopback:
        raise argparse.ArgumentTypeError(f"{address} is no loopback address; {DNS_ADDRESS} is one")
    return address, 0 if is_any_port else port


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
