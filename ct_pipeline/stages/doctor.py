"""Is this machine fit to verify? Each thing that must be right, looked at, with the mend where it is not."""

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from ct_pipeline.clevertap.client import CleverTap
from ct_pipeline.clevertap.connection import connection_of
from ct_pipeline.clevertap.retry import HURRIED
from ct_pipeline.domains.answers import Outcome
from ct_pipeline.domains.facts import DomainFacts
from ct_pipeline.domains.lookup import DomainLookup
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.domains.resolver import DnsResolver
from ct_pipeline.errors import CleverTapRefusedError, CtPipelineError, SettingsError
from ct_pipeline.settings import Settings, misspelt_variables
from ct_pipeline.storage.database import connect, describe_url, resolve_database_url
from ct_pipeline.storage.migrations import latest_revision, revision_of
from ct_pipeline.to_clevertap.policy import Policy
from ct_pipeline.verification.connection import Refusal, Timeouts, open_connection
from ct_pipeline.vocabulary import MailService

ENOUGH_DISK_BYTES = 2 * 1024**3  # a million addresses take about this in lake, ledger and Dagster's history
DIAL_TIMEOUTS = Timeouts(connect=10.0, reply=20.0)
HOSTS_TO_DIAL = 3
LONGEST_API_WAIT_SECONDS = 15.0
MOST_CLOCK_DIFFERENCE = timedelta(minutes=1)
SMTP_PORT = 25
_SET_NAMESERVERS = (
    "Set CT_NAMESERVERS to resolvers that answer from here, best one of your own on this machine or network."
)


class State(StrEnum):
    OK = "ok"
    PROBLEM = "problem"
    UNTESTED = "untested"  # something else has to be mended, or set, first


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``mend`` is empty when it is all right."""

    subject: str
    state: State
    what: str
    mend: str = ""


async def examine(
    settings: Settings, environment: Iterable[str] = (), database_fault: CtPipelineError | None = None
) -> AsyncGenerator[Finding]:
    """Look at everything, in the order in which a user would mend it. Sends no mail, changes nothing.

    Args:
        environment: names of environment variables, to find misspelt settings among.
        database_fault: why the embedded database could not be started, if it could not.
    """
    yield _variables(settings, environment)
    yield await asyncio.to_thread(_database, settings, database_fault)
    yield _disk(settings)
    async for finding in _clevertap(settings):
        yield finding
    try:
        lookup, resolver = DomainLookup(settings, load_providers()), DnsResolver(settings)
    except CtPipelineError as error:
        yield Finding("resolver", State.PROBLEM, str(error), _SET_NAMESERVERS)
        return
    async with lookup:
        answers = await _nameservers(resolver, settings)
        yield answers
        if answers.state is not State.OK:
            for subject in ("HELO name", "MAIL FROM", f"outbound port {settings.smtp_port}"):
                yield Finding(subject, State.UNTESTED, "nothing can be looked up", "Mend the resolver first.")
            return
        yield await _helo_name(resolver, settings)
        sender = await lookup.look_up(_domain_of_sender(settings), datetime.now(UTC))
        yield _mail_from(settings, sender)
        yield await _outbound_port(settings, sender)


def _variables(settings: Settings, environment: Iterable[str]) -> Finding:
    subject = "settings"
    if misspelt := misspelt_variables(environment):
        what = ", ".join(f"{name} is no setting; {likely} is" for name, likely in misspelt.items())
        return Finding(subject, State.PROBLEM, what, "Correct the name, or remove it: it has no effect.")
    try:
        Policy.from_settings(settings)
    except SettingsError as error:
        return Finding(subject, State.PROBLEM, "no export can be planned by them", str(error))
    return Finding(subject, State.OK, "every value fits")


def _database(settings: Settings, fault: CtPipelineError | None) -> Finding:
    subject = "database"
    if fault is not None:
        return Finding(subject, State.PROBLEM, "cannot be started", str(fault))
    try:
        url = resolve_database_url(settings)
        with connect(url) as conn:
            row = conn.execute("show server_version").fetchone()
            revision = revision_of(conn)
    except CtPipelineError as error:
        mend = "Start it with `ct-pipeline db start`, or set CT_DATABASE_URL to a Postgres that answers."
        return Finding(subject, State.PROBLEM, str(error), mend)
    where = describe_url(url) if settings.database_url is not None else f"{settings.postgres_dir} (embedded)"
    what = f"PostgreSQL {row[0] if row else '?'} at {where}"
    if revision != latest_revision():
        state = f"stands at migration {revision}" if revision else "holds no ledger yet"
        return Finding(subject, State.PROBLEM, f"{what} {state}", "Run `ct-pipeline db upgrade`.")
    return Finding(subject, State.OK, what)


def _disk(settings: Settings) -> Finding:
    folder = _existing(settings.state_dir)
    free = shutil.disk_usage(folder).free
    what = f"{free / 1024**3:.1f} GiB free for {settings.state_dir}"
    if free >= ENOUGH_DISK_BYTES:
        return Finding("disk", State.OK, what)
    mend = "Free some space, or set CT_STATE_DIR to a folder on a larger disk."
    return Finding("disk", State.PROBLEM, what, mend)


async def _clevertap(settings: Settings) -> AsyncGenerator[Finding]:
    """Credentials and region, by the client's check; and the clock, by the time that the same answers tell."""
    subject = "CleverTap"
    if not (settings.project_id or settings.passcode or settings.region or settings.base_url):
        mend = "Set CT_PROJECT_ID, CT_PASSCODE and CT_REGION to pull profiles; contact files need none of them."
        yield Finding(subject, State.UNTESTED, "no project is connected", mend)
        return
    try:
        connection = connection_of(settings)
    except SettingsError as error:
        yield Finding(subject, State.PROBLEM, "its settings do not fit", str(error))
        return
    where = f"project {connection.project_id} at {connection.address}"
    timeout_seconds = min(settings.http_timeout_seconds, LONGEST_API_WAIT_SECONDS)
    async with CleverTap(connection, timeout_seconds=timeout_seconds, zone=settings.zone, patience=HURRIED) as client:
        try:
            await client.check()
        except CleverTapRefusedError as error:
            yield Finding(subject, State.PROBLEM, f"{where} turns us away", str(error))
        except CtPipelineError as error:
            yield Finding(subject, State.PROBLEM, f"{where} is not reached", str(error))
        else:
            yield Finding(subject, State.OK, f"{where} takes the credentials")
        yield _clock(client.clock_difference)
        yield _time_zone(settings)


def _time_zone(settings: Settings) -> Finding:
    subject = "time zone"
    what = f"{settings.timezone}: it is {datetime.now(settings.zone):%H:%M} there"
    if "timezone" in settings.model_fields_set:
        return Finding(subject, State.OK, what)
    mend = "Set CT_TIMEZONE to the project's (Settings → Project in CleverTap): its days and events are told in it."
    return Finding(subject, State.UNTESTED, f"{what}, and CT_TIMEZONE is not set", mend)


def _clock(difference: timedelta | None) -> Finding:
    """``difference`` is CleverTap's clock minus ours."""
    subject = "clock"
    if difference is None:
        return Finding(subject, State.UNTESTED, "CleverTap did not tell the time", "Mend the connection first.")
    if abs(difference) <= MOST_CLOCK_DIFFERENCE:
        return Finding(subject, State.OK, f"agrees with CleverTap's within {MOST_CLOCK_DIFFERENCE.seconds} s")
    direction = "behind" if difference > timedelta(0) else "ahead of"
    what = (
        f"this machine's clock is {timedelta(seconds=round(abs(difference).total_seconds()))} h {direction} CleverTap's"
    )
    mend = "Set it, best by NTP: days begin by it, and our own unsubscribes are told from the users' by their times."
    return Finding(subject, State.PROBLEM, what, mend)


async def _nameservers(resolver: DnsResolver, settings: Settings) -> Finding:
    subject = "resolver"
    asked = ", ".join(settings.nameservers) or "those of the operating system"
    domain = _domain_of_sender(settings)
    started = time.monotonic()
    answer = await resolver.mx(domain)
    took = f"{(time.monotonic() - started) * 1000:.0f} ms"
    if answer.outcome.is_temporary:
        return Finding(subject, State.PROBLEM, f"{asked}: {answer.detail} (asked for {domain})", _SET_NAMESERVERS)
    return Finding(subject, State.OK, f"{asked}: answered in {took}")


async def _helo_name(resolver: DnsResolver, settings: Settings) -> Finding:
    """RFC 5321 section 4.1.1.1: the name in EHLO is ours and resolves; large providers ask for the way back as well."""
    subject = "HELO name"
    name = settings.helo_name
    if "." not in name or name.endswith((".localdomain", ".local")):
        mend = "Set CT_HELO_NAME to this machine's public name, such as verify.your-company.com."
        return Finding(subject, State.PROBLEM, f"{name!r} is no public name", mend)
    forward = await resolver.addresses(name)
    if forward.outcome is not Outcome.RECORDS:
        mend = f"Add an A record for {name} that points to this machine's public address."
        return Finding(subject, State.PROBLEM, f"{name} does not resolve: {forward.detail or 'no address'}", mend)
    for address in forward.addresses:
        names = await resolver.names_of(address)
        if name.lower().rstrip(".") not in names:
            points = ", ".join(names) or "nothing"
            mend = f"Ask whoever gave you {address} to set its reverse DNS (PTR) to {name}."
            return Finding(subject, State.PROBLEM, f"{name} is {address}, whose reverse DNS is {points}", mend)
    return Finding(subject, State.OK, f"{name} is {', '.join(forward.addresses)}, and the way back agrees")


def _mail_from(settings: Settings, sender: DomainFacts) -> Finding:
    subject = "MAIL FROM"
    if not settings.mail_from:
        mend = "Set CT_MAIL_FROM to an address that exists, on a domain of yours: some hosts refuse the null sender."
        return Finding(subject, State.UNTESTED, "the null sender <>", mend)
    if sender.service is MailService.NULL_MX:
        mend = "Hosts refuse senders whose domain takes no mail (RFC 7505). Use a domain with a working MX."
        return Finding(subject, State.PROBLEM, f"{sender.domain} has a null MX", mend)
    if sender.service is MailService.UNROUTABLE:
        mend = "If these hosts are yours, name their network in CT_ALLOWED_NETWORKS; else correct the domain's MX."
        return Finding(subject, State.PROBLEM, f"{sender.domain}: {sender.detail}", mend)
    if sender.service.is_temporary:
        mend = f"See that the name servers of {sender.domain} answer: hosts refuse senders they cannot look up."
        return Finding(subject, State.PROBLEM, f"{sender.domain}: {sender.detail}", mend)
    if not sender.service.takes_mail:
        mend = f"Give {sender.domain} an MX record, or set CT_MAIL_FROM to an address of a domain that has one."
        return Finding(subject, State.PROBLEM, f"{sender.domain} takes no mail: {sender.detail}", mend)
    return Finding(subject, State.OK, f"{settings.mail_from}, whose domain takes mail at {sender.mx_record}")


async def _outbound_port(settings: Settings, sender: DomainFacts) -> Finding:
    """Says EHLO to our own domain's mail hosts: nobody else is bothered."""
    subject = f"outbound port {settings.smtp_port}"
    endpoints = [(mx.host, address) for mx in sender.mx_hosts for address in mx.addresses][:HOSTS_TO_DIAL]
    if not endpoints:
        mend = "Set CT_MAIL_FROM to an address of a domain that takes mail: its own mail hosts are tried."
        return Finding(subject, State.UNTESTED, f"{sender.domain} has no mail host to try", mend)
    said: list[str] = []
    has_words = False
    for host, address in endpoints:
        outcome = await open_connection(address, settings.smtp_port, host, settings.helo_name, DIAL_TIMEOUTS)
        if not isinstance(outcome, Refusal):
            await outcome.quit()
            return Finding(subject, State.OK, f"{host} answered and took our EHLO")
        has_words |= bool(outcome.reply.code)
        said.append(f"{host}: {f'{outcome.reply.code} ' if outcome.reply.code else ''}{outcome.reply.text}")
    if has_words:
        mend = "The port is open; the words are about this machine's address or its HELO name. Do what they say."
    elif settings.smtp_port != SMTP_PORT:
        mend = f"Mail hosts listen on port {SMTP_PORT}; CT_SMTP_PORT is {settings.smtp_port}, which only labs use."
    else:
        mend = (
            "Your network seems to block outgoing port 25, as most clouds do: ask them to open it, "
            "or run ct_pipeline where it is open."
        )
    return Finding(subject, State.PROBLEM, "; ".join(said), mend)


def _domain_of_sender(settings: Settings) -> str:
    return (settings.mail_from.rpartition("@")[2] or settings.helo_name).lower().rstrip(".")


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
