"""Is this machine fit to verify? Each thing that must be right, looked at, with the mend where it is not."""

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ct_pipeline.addresses.operator_lists import NO_LISTS
from ct_pipeline.clevertap.client import CleverTap
from ct_pipeline.clevertap.connection import connection_of
from ct_pipeline.clevertap.retry import HURRIED
from ct_pipeline.domains.lookup import DomainLookup
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.domains.resolver import DnsResolver
from ct_pipeline.errors import CleverTapRefusedError, CtPipelineError, SettingsError
from ct_pipeline.settings import Settings, misspelt_variables
from ct_pipeline.stages.doctor_of_egresses import examine_egresses, sender_domain, subjects_of_egresses
from ct_pipeline.stages.egresses import Egresses, load_egresses
from ct_pipeline.stages.finding import Finding, State
from ct_pipeline.stages.list_ages import findings_of_lists, list_provenances
from ct_pipeline.stages.operator_list_files import load_operator_lists
from ct_pipeline.storage.database import connect, describe_url, resolve_database_url
from ct_pipeline.storage.migrations import latest_revision, revision_of
from ct_pipeline.to_clevertap.policy import Policy

ENOUGH_DISK_BYTES = 2 * 1024**3  # a million addresses take about this in lake, ledger and Dagster's history
LONGEST_API_WAIT_SECONDS = 15.0
MOST_CLOCK_DIFFERENCE = timedelta(minutes=1)
_SET_NAMESERVERS = (
    "Set CT_NAMESERVERS to resolvers that answer from here, best one of your own on this machine or network."
)


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
    for finding in _lists(settings):
        yield finding
    async for finding in _clevertap(settings):
        yield finding
    try:
        egresses = load_egresses(settings)
    except SettingsError as error:
        yield Finding("egresses", State.PROBLEM, "their settings do not fit", str(error))
        return
    try:
        lookup, resolver = DomainLookup(settings, load_providers()), DnsResolver(settings)
    except CtPipelineError as error:
        yield Finding("resolver", State.PROBLEM, str(error), _SET_NAMESERVERS)
        return
    async with lookup:
        answers = await _nameservers(resolver, settings, egresses)
        yield answers
        if answers.state is not State.OK:
            for subject in subjects_of_egresses(settings):
                yield Finding(subject, State.UNTESTED, "nothing can be looked up", "Mend the resolver first.")
            return
        async for finding in examine_egresses(settings, egresses, lookup, resolver):
            yield finding


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


def _lists(settings: Settings) -> Iterator[Finding]:
    try:
        lists = load_operator_lists(settings)
    except SettingsError as error:
        yield Finding("operator lists", State.PROBLEM, "a list does not fit", str(error))
        lists = NO_LISTS
        settings = settings.model_copy(update={"allow_list": None, "block_list": None})
    yield from findings_of_lists(list_provenances(settings, lists), datetime.now(UTC).date())


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


async def _nameservers(resolver: DnsResolver, settings: Settings, egresses: Egresses) -> Finding:
    subject = "resolver"
    asked = ", ".join(settings.nameservers) or "those of the operating system"
    domain = sender_domain(egresses.rows[0].egress.envelope)
    started = time.monotonic()
    answer = await resolver.mx(domain)
    took = f"{(time.monotonic() - started) * 1000:.0f} ms"
    if answer.outcome.is_temporary:
        return Finding(subject, State.PROBLEM, f"{asked}: {answer.detail} (asked for {domain})", _SET_NAMESERVERS)
    return Finding(subject, State.OK, f"{asked}: answered in {took}")


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
