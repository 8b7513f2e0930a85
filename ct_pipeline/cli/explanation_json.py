"""The same explanation as one JSON object, for scripts. Field names are those of the ledger and of list files.

Times are ISO 8601 in UTC; what is not known is null. Words of remote hosts are whole, and cleaned.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ct_pipeline.verification.reply_parser import clean_text

if TYPE_CHECKING:
    from ct_pipeline.domains.facts import DomainFacts
    from ct_pipeline.domains.providers import Provider
    from ct_pipeline.stages.explanation import Explanation, ReadProbe
    from ct_pipeline.verdicts.verdict import Verdict
    from ct_pipeline.verification.site_memory import BreakerNote

CATCH_ALL_FIELDS = ("is_catch_all", "tells_apart", "probe_id", "found_at", "expires_at", "doubted_at")


def as_object(one: "Explanation") -> dict[str, Any]:
    """``verdict`` and all that follows it are null, or empty, where the ledger never met the address."""
    return {
        "given": one.given,
        "email": one.address,
        "syntax_reason": one.syntax_reason,
        "is_in_ledger": one.verdict is not None,
        "verdict": _verdict(one.verdict) if one.verdict else None,
        "judged_before": _named(one.judged_before, "status", "reason", "rule", "rules_version", "judged_at"),
        "deciding": _deciding(one),
        "held_by": [_named(held, "audience", "source_name", "pulled_at") for held in one.held_by],
        "domain": _domain(one.facts) if one.facts else None,
        "provider": _provider(one.provider) if one.provider else None,
        "catch_all": _named(
            one.catch_all, "is_catch_all", "tells_apart", "probe_id", "found_at", "expires_at", "doubted_at"
        ),
        "listing": _named(one.listing, "is_allowed", "covers", "entry"),
        "flags": dict(one.flags),
        "probes": [_probe(read) for read in one.probes],
        "domain_probes": [_probe(read) for read in one.domain_probes],
        "next_check": _named(one.next_check, "at", "attempt_count", "attempt_limit", "hint_seconds", "because"),
        "breaker": _breaker(one.breaker) if one.breaker else None,
        "left_because": one.left_because or None,
        "is_forced": one.is_forced,
    }


def _verdict(verdict: "Verdict") -> dict[str, Any]:
    # Whatever the judge knows, in its order: a column that is added is shown.
    names = [name for name in verdict._fields if name not in ("address", "address_id")]
    return {name: _plain(getattr(verdict, name)) for name in names}


def _deciding(one: "Explanation") -> dict[str, Any] | None:
    if (deciding := one.deciding) is None:
        return None
    reading = deciding.reading
    return {
        "rule": deciding.rule,
        "in_words": deciding.in_words,
        "reply_rule": deciding.reply_rule,
        "reason": _plain(reading.reason) if reading else None,
        "about": _plain(reading.about) if reading else None,
        "source": deciding.source,
    }


def _domain(facts: "DomainFacts") -> dict[str, Any]:
    hosts = [
        {"preference": mx.preference, "host": clean_text(mx.host), "addresses": list(mx.addresses)}
        for mx in facts.mx_hosts
    ]
    names = ("domain", "service", "mx_record", "provider", "site", "lane", "looked_up_at", "expires_at", "detail")
    return {**_named(facts, *names), "mx_hosts": hosts}


def _provider(provider: "Provider") -> dict[str, Any]:
    names = ("name", "title", "probing", "accepts", "refuses", "random_probe")
    return {**_named(provider, *names), "source": {claim: str(source) for claim, source in provider.source.items()}}


def _breaker(note: "BreakerNote") -> dict[str, Any]:
    return _named(note, "reason", "text", "opened_at", "until_at", "opened_count")


def _probe(read: "ReadProbe") -> dict[str, Any]:
    probe, session = read.recorded
    session_names = (
        "session_id", "egress", "helo_name", "mail_from", "mx_host", "mx_address", "is_tls", "outcome", "started_at",
        "ended_at", "command_count", "rcpt_count",
    )  # fmt: skip
    return {
        **_named(probe, "probe_id", "kind"),
        "email": read.about or None,
        **_named(probe.reply, "stage", "code", "enhanced", "text"),
        **_named(probe, "asked_at", "elapsed_ms"),
        "read_then": _named(probe, "reason", "rule"),
        "read_today": {**_named(read.today, "reason", "about", "rule", "retry_seconds"), "source": read.rule_source},
        "is_deciding": read.is_deciding,
        "session": _named(session, *session_names),
    }


def _named(record: object, *names: str) -> Any:
    """The fields ``names`` of ``record``; None where there is no record."""
    return None if record is None else {name: _plain(getattr(record, name)) for name in names}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return "\n".join(clean_text(line) for line in value.split("\n"))
    return value
