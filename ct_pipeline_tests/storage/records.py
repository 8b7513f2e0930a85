"""Records with everything filled in, so that a test names only what it is about."""

from datetime import UTC, datetime, timedelta

import polars as pl
import psycopg

from ct_pipeline.domains.facts import DomainFacts, MxHost
from ct_pipeline.storage.addresses import TakenUp, take_up
from ct_pipeline.storage.domain_facts import keep_domain_facts
from ct_pipeline.storage.pulls import record_pull
from ct_pipeline.storage.verdicts import EvidenceRow
from ct_pipeline.verdicts.verdict import Verdict
from ct_pipeline.verification.probe import CatchAllFact, Probe, ProbeKind, Reply, Session, Stage, Turn
from ct_pipeline.vocabulary import BounceType, MailService, Reason, SafeToSend, Status

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
AUDIENCE = "newsletter"
LANE = "small-07"


def pull_rows(*raw_emails: str) -> pl.DataFrame:
    """Rows of a pull, normalized as far as these tests need it; "?" in a spelling makes it no address."""
    rows = []
    for number, raw in enumerate(raw_emails, start=1):
        address = raw.strip().lower()
        local_part, _, domain = address.partition("@")
        usable = "?" not in address
        rows.append(
            {
                "row_number": number,
                "raw_email": raw,
                "address": address,
                "local_part": local_part if usable else None,
                "domain": domain if usable else None,
                "syntax_reason": None if usable else "syntax_error",
                "is_role": local_part == "info",
                "suggested_email": None,
            }
        )
    texts = ("raw_email", "address", "local_part", "domain", "syntax_reason", "suggested_email")
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(texts, pl.String))


def new_pull(
    conn: psycopg.Connection, sha256: str = "00ff", source_name: str = "list.csv", now: datetime = NOON
) -> int:
    return record_pull(
        conn, AUDIENCE, "contact_file", source_name, sha256, f"pulls/{sha256}", 3, 0, "Email", ["Email", "Name"], now
    )


def take(conn: psycopg.Connection, *raw_emails: str, sha256: str = "00ff", now: datetime = NOON) -> TakenUp:
    return take_up(conn, new_pull(conn, sha256), AUDIENCE, pull_rows(*raw_emails), now)


def facts(
    domain: str,
    service: MailService = MailService.MX,
    *,
    now: datetime = NOON,
    expires_in: timedelta = 7 * DAY,
    lane: str = LANE,
    is_free: bool = False,
) -> DomainFacts:
    host = f"mx.{domain}"
    hosts = (MxHost(10, host, ("192.0.2.1", "2001:db8::1")),) if service.takes_mail else ()
    return DomainFacts(
        domain, service, hosts, host, domain, domain, lane, False, is_free, now, now + expires_in, f"MX of {domain}"
    )


def look_up(
    conn: psycopg.Connection, *domains: str, service: MailService = MailService.MX, now: datetime = NOON
) -> None:
    keep_domain_facts(conn, [facts(domain, service, now=now) for domain in domains], now)


def session(session_id: int = 1) -> Session:
    return Session(
        session_id, LANE, "x.test", "mx.x.test", "192.0.2.1", "probe.test", "", NOON, NOON, 5, 2, False, "done"
    )


def probe(probe_id: int, address_id: int | None, domain: str, code: int = 250, text: str = "ok") -> Probe:
    kind = ProbeKind.MAILBOX if address_id else ProbeKind.RANDOM
    reason = Reason.ACCEPTED if code == 250 else Reason.MAILBOX_NOT_FOUND
    return Probe(
        probe_id, 1, kind, address_id, domain, Reply(Stage.RCPT, code, "2.1.5", text), reason, "a-rule", NOON, 12
    )


def answered(address_id: int, probe_id: int | None, attempt_count: int = 1) -> Turn:
    return Turn(address_id, None, attempt_count, probe_id)


def catch_all(domain: str, is_catch_all: bool = True, now: datetime = NOON, probe_id: int = 1) -> CatchAllFact:
    return CatchAllFact(domain, is_catch_all, None, probe_id, now, now + 30 * DAY)


def verdict(
    evidence: EvidenceRow, status: Status = Status.VALID, rules_version: str = "v1", judged_at: datetime = NOON
) -> Verdict:
    return Verdict(
        address_id=evidence.address_id,
        address=evidence.address,
        status=status,
        reason=Reason.ACCEPTED,
        clearout_code=200,
        safe_to_send=SafeToSend.YES,
        bounce_type=BounceType.NONE,
        score=97,
        score_basis="valid 97",
        verdict_text="The mailbox exists.",
        is_disposable=evidence.is_disposable,
        is_free=evidence.is_free,
        is_role=evidence.is_role,
        is_gibberish=False,
        suggested_email=evidence.suggested_email,
        canonical_email=None,
        provider=evidence.provider,
        mx_record=evidence.mx_record,
        is_catch_all_domain=evidence.is_catch_all,
        smtp_code=evidence.smtp_code,
        smtp_enhanced=evidence.smtp_enhanced,
        smtp_text=evidence.smtp_text,
        elapsed_ms=evidence.elapsed_ms,
        attempt_count=evidence.attempt_count,
        verified_at=evidence.asked_at,
        next_check_at=evidence.next_attempt_at,
        rule="a-rule",
        rules_version=rules_version,
        judged_at=judged_at,
    )
