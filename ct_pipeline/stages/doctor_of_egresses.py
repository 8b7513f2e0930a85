"""Is each egress fit? Its names as DNS tells them, its senders, its way out to port 25, and the block lists."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from ct_pipeline.domains.facts import DomainFacts
from ct_pipeline.domains.lanes import registrable_domain
from ct_pipeline.domains.lookup import DomainLookup
from ct_pipeline.domains.resolver import DnsResolver
from ct_pipeline.settings import Settings
from ct_pipeline.stages import listings
from ct_pipeline.stages.egress_file import EgressRow
from ct_pipeline.stages.egresses import Egresses
from ct_pipeline.stages.finding import Finding, State
from ct_pipeline.stages.helo_names import HeloName, look_up_helo_name
from ct_pipeline.stages.listings import Listings
from ct_pipeline.verification.connection import Refusal, Timeouts, open_connection
from ct_pipeline.verification.egress import Envelope
from ct_pipeline.vocabulary import MailService

DIAL_TIMEOUTS = Timeouts(connect=10.0, reply=20.0)
HOSTS_TO_DIAL = 3
SMTP_PORT = 25
LANES_SHOWN = 4


async def examine_egresses(
    settings: Settings, egresses: Egresses, lookup: DomainLookup, resolver: DnsResolver
) -> AsyncGenerator[Finding]:
    """Look at every egress that this machine works. One that a file names is announced with its way and its lanes."""
    lists = Listings(resolver)
    for row in egresses.rows:
        if row.place:
            yield _introduction(row, egresses)
        if egresses.is_own(row.egress):
            async for finding in _examine(row, settings, lookup, resolver, lists):
                yield finding


def subjects_of_egresses(settings: Settings) -> tuple[str, ...]:
    """What is looked at, in this order."""
    return ("HELO name", "MAIL FROM", f"outbound port {settings.smtp_port}", listings.SUBJECT)


def sender_domain(envelope: Envelope) -> str:
    """The domain that answers for our mail: the sender's, or that of the name where the sender is null."""
    return (envelope.mail_from.rpartition("@")[2] or envelope.helo_name).lower().rstrip(".")


def _introduction(row: EgressRow, egresses: Egresses) -> Finding:
    lanes = egresses.lanes_of(row)
    more = f" and {len(lanes) - LANES_SHOWN} more" if len(lanes) > LANES_SHOWN else ""
    what = f"{row.egress.name}: {row.egress.way}, for {', '.join(lanes[:LANES_SHOWN])}{more}"
    if egresses.is_own(row.egress):
        return Finding("egress", State.OK, what)
    return Finding("egress", State.UNTESTED, f"{what}; another machine works it", "Run `ct-pipeline doctor` there.")


async def _examine(
    row: EgressRow, settings: Settings, lookup: DomainLookup, resolver: DnsResolver, lists: Listings
) -> AsyncGenerator[Finding]:
    egress = row.egress
    name = await look_up_helo_name(row, resolver)
    yield _helo_name(name, settings)
    envelopes = [egress.envelope]
    if egress.has_other_sender:
        envelopes.append(egress.envelope_with(other_sender=True))
    senders = [await lookup.look_up(sender_domain(envelope), datetime.now(UTC)) for envelope in envelopes]
    yield _mail_from(egress.envelope, senders[0], row.setting("mail_from"), "MAIL FROM")
    if egress.other_mail_from:
        yield _mail_from(envelopes[1], senders[1], row.setting("other_mail_from"), "other MAIL FROM")
    yield await _outbound_port(row, settings, next((one for one in senders if one.mx_hosts), senders[0]))
    domains = [egress.envelope.helo_name, *map(sender_domain, envelopes)]
    registered = dict.fromkeys(registrable_domain(domain) for domain in domains if "." in domain.rstrip("."))
    for finding in await lists.examine(name.addresses, list(registered)):
        yield finding


def _helo_name(name: HeloName, settings: Settings) -> Finding:
    subject = "HELO name"
    if name.is_unanswered:
        mend = "Look again. While it stays like this, `ct-pipeline verify` asks nobody."
        return Finding(subject, State.PROBLEM, name.what, mend)
    if not name.mend:
        return Finding(subject, State.OK, name.what)
    unchecked = " (CT_HELO_UNCHECKED is set, so it is used all the same)" if settings.helo_unchecked else ""
    return Finding(subject, State.PROBLEM, name.what + unchecked, name.mend)


def _mail_from(envelope: Envelope, sender: DomainFacts, setting: str, subject: str) -> Finding:
    if not envelope.mail_from:
        mend = f"Set {setting} to an address that exists, on a domain of yours: some hosts refuse the null sender."
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
        mend = f"Give {sender.domain} an MX record, or set {setting} to an address of a domain that has one."
        return Finding(subject, State.PROBLEM, f"{sender.domain} takes no mail: {sender.detail}", mend)
    return Finding(subject, State.OK, f"{envelope.mail_from}, whose domain takes mail at {sender.mx_record}")


async def _outbound_port(row: EgressRow, settings: Settings, sender: DomainFacts) -> Finding:
    """Says EHLO to our own domain's mail hosts: nobody else is bothered."""
    subject, egress = f"outbound port {settings.smtp_port}", row.egress
    endpoints = [(mx.host, address) for mx in sender.mx_hosts for address in mx.addresses][:HOSTS_TO_DIAL]
    if not endpoints:
        setting = row.setting("mail_from")
        mend = f"Set {setting} to an address of a domain that takes mail: its own mail hosts are tried."
        return Finding(subject, State.UNTESTED, f"{sender.domain} has no mail host to try", mend)
    said: list[str] = []
    refusals: list[Refusal] = []
    for host, address in endpoints:
        outcome = await open_connection(
            address,
            settings.smtp_port,
            host,
            egress.envelope.helo_name,
            DIAL_TIMEOUTS,
            egress.source_address,
            proxy=egress.proxy,
        )
        if not isinstance(outcome, Refusal):
            await outcome.quit()
            return Finding(subject, State.OK, f"{host} answered and took our EHLO")
        refusals.append(outcome)
        said.append(f"{host}: {f'{outcome.reply.code} ' if outcome.reply.code else ''}{outcome.reply.text}")
    return Finding(subject, State.PROBLEM, "; ".join(said), _how_to_mend(refusals, row, settings))


def _how_to_mend(refusals: list[Refusal], row: EgressRow, settings: Settings) -> str:
    if any(refusal.reply.code for refusal in refusals):
        return "The port is open; the words are about this machine's address or its HELO name. Do what they say."
    if all(refusal.is_ours for refusal in refusals):
        if row.egress.proxy is not None:
            return f"The fault lies with the proxy, or with {row.setting('proxy')}: compare address, user and password."
        return f"Give this machine the address, or correct {row.setting('source_address')}."
    if settings.smtp_port != SMTP_PORT:
        return f"Mail hosts listen on port {SMTP_PORT}; CT_SMTP_PORT is {settings.smtp_port}, which only labs use."
    return (
        "Your network seems to block outgoing port 25, as most clouds do: ask them to open it, "
        "or run ct_pipeline where it is open."
    )
