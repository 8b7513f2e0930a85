"""The verdict on one address and what it rests on, as text for a terminal.

Everything that a mail host or DNS said is cleaned once more and folded; it can neither colour nor flood the screen.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ct_pipeline.cli.verify_report import COLOURS, how_long
from ct_pipeline.verdicts.clearout_codes import CLEAROUT_REASONS
from ct_pipeline.verification.reply_parser import clean_text
from ct_pipeline.verification.unwelcome import what_to_do, why

if TYPE_CHECKING:
    from ct_pipeline.domains.facts import DomainFacts, MxHost
    from ct_pipeline.domains.providers import Provider
    from ct_pipeline.stages.explanation import DecidingRule, Explanation, ReadProbe
    from ct_pipeline.verification.next_check import NextCheck
    from ct_pipeline.verification.probe import Session

HOSTS_SHOWN = 4
HOST_ADDRESSES_SHOWN = 2
LABEL_WIDTH = 12
TEXT_LENGTH = 300  # characters of a remote host's words; --json has them all
# How the verifier records what no host has said.
NOT_ASKED = "not asked:"
IN_DOUBT = "in doubt:"
NOT_BELIEVED = "not believed:"
PROBE_LABELS = {
    "mailbox": "asked",
    "witness": "asked again",
    "random": "made-up name",
    "control": "postmaster",
    "session": "session",
}
ABOUT = {
    "address": "about the address",
    "domain": "about the domain",
    "us": "about us",
    "temporary": "for now only",
    "unclear": "unclear about whom",
}
ACCEPTS = {
    "believed": "a 250 is believed where a made-up name is refused",
    "in_doubt": "a 250 is believed only where a made-up name is refused: some of its domains accept every name",
    "hidden": "a 250 says nothing of a mailbox",
}
REFUSES = {"believed": "a 550 is believed", "in_doubt": "a 550 alone proves nothing: living mailboxes get it too"}

Row = tuple[str, str]


def show_explanation(one: "Explanation", console: Console) -> None:
    """Print the verdict in a line and a sentence, then the rows that explain it, and an empty line."""
    console.print(_title(one), soft_wrap=True)
    console.print(f"  {_sentence(one)}", markup=False, soft_wrap=True)
    rows = Table.grid(padding=(0, 1))
    rows.add_column(width=LABEL_WIDTH + 2)
    rows.add_column(overflow="fold")
    for label, value in _rows(one):
        rows.add_row(Text(f"  {label}", style="dim"), Text(value, style="dim"))
    if rows.row_count:
        console.print(rows)
    console.print()


def _title(one: "Explanation") -> Text:
    verdict = one.verdict
    title = Text(one.address or repr(one.given), style="bold")
    if verdict is None:
        return title.append("  not in the ledger", style="bold")
    title.append(f"  {verdict.status.value}", style=f"bold {COLOURS[verdict.status]}")
    if verdict.reason.value != verdict.status.value:
        title.append(f" · {verdict.reason.value}", style="not bold")
    title.append(f" · safe to send: {verdict.safe_to_send.value}", style="not bold")
    clearout = f"{verdict.clearout_code} ({CLEAROUT_REASONS[verdict.clearout_code]})"
    return title.append(f" · score {verdict.score} · Clearout {clearout}", style="not bold")


def _sentence(one: "Explanation") -> str:
    if one.verdict is not None:
        return one.verdict.verdict_text
    if one.syntax_reason:
        return f"It was never in a list or pull, nor checked; and it is no email address ({one.syntax_reason})."
    return "It was never in a list or pull, nor checked. Without --no-ask it is asked about now."


def _rows(one: "Explanation") -> Iterator[Row]:
    if one.given.strip() != one.address:
        yield "given as", repr(one.given[:TEXT_LENGTH])
    if (written := _in_letters(one.address)) != one.address:
        yield "in letters", written
    if one.verdict is None:
        return
    yield from _why(one)
    if one.held_by:
        yield "held by", "; ".join(_holding(held.audience, held.source_name, held.pulled_at) for held in one.held_by)
    if one.facts is not None:
        yield from _what_dns_says(one.facts)
        yield from _who_runs_it(one.facts, one.provider)
    yield from _catch_all(one)
    if one.listing is not None:
        which = "allow list (CT_ALLOW_LIST)" if one.listing.is_allowed else "block list (CT_BLOCK_LIST)"
        yield "listed", f"on the {which}, by the entry {one.listing.entry}"
    flags = [f"{name.removeprefix('is_')} ({source})" for name, source in one.flags.items()]
    if flags:
        yield "flags", ", ".join(flags)
    if one.verdict.suggested_email:
        yield "meant?", one.verdict.suggested_email
    if one.verdict.canonical_email:
        yield "same mailbox", one.verdict.canonical_email
    yield "score", f"{one.verdict.score} % would be delivered: {one.verdict.score_basis}"
    yield from _what_comes_next(one)
    trail = _Trail(one.deciding)
    for probe in (*one.probes, *one.domain_probes):
        yield from trail.rows(probe)


def _why(one: "Explanation") -> Iterator[Row]:
    assert one.verdict is not None
    if (before := one.judged_before) is not None:
        then = f"{before.judged_at:%Y-%m-%d %H:%M:%S} UTC"
        yield (
            "before",
            f"{before.status} · {before.reason}, judged {then} by {before.rule} (rules {before.rules_version})",
        )
    if (deciding := one.deciding) is not None:
        yield "rule", f"{deciding.rule}: {deciding.in_words}"
        if (reading := deciding.reading) is not None:
            means = f"such a reply means {reading.reason}, {ABOUT[reading.about]}"
            yield "", f"{deciding.reply_rule}: {means}; source: {deciding.source or 'no rule fits'}"
        elif deciding.reply_rule is not None:
            yield "", f"source: {deciding.source or 'unknown'}"


def _what_dns_says(facts: "DomainFacts") -> Iterator[Row]:
    if facts.detail:
        yield "DNS", _folded(facts.detail)
    if facts.mx_hosts:
        hosts = ", ".join(_host(mx) for mx in facts.mx_hosts[:HOSTS_SHOWN])
        rest = len(facts.mx_hosts) - HOSTS_SHOWN
        yield "mail hosts", hosts + (f" and {rest} more" if rest > 0 else "")
    yield "looked up", f"{_when(facts.looked_up_at)}, {facts.service.value}, good until {_when(facts.expires_at)}"


def _host(mx: "MxHost") -> str:
    rest = len(mx.addresses) - HOST_ADDRESSES_SHOWN
    addresses = ", ".join(mx.addresses[:HOST_ADDRESSES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
    return f"{clean_text(mx.host)} ({addresses})"


def _who_runs_it(facts: "DomainFacts", provider: "Provider | None") -> Iterator[Row]:
    if not facts.mx_hosts:
        return
    if provider is None:
        yield "provider", f"{clean_text(facts.provider)} (lane {facts.lane}), a small site without a row of its own"
        return
    yield "provider", f"{provider.name} (lane {facts.lane}): {provider.title}"
    yield "", f"asking is {provider.probing.value}; source: {provider.source['probing']}"
    yield "", f"{ACCEPTS[provider.accepts.value]}; source: {provider.source['accepts']}"
    yield "", f"{REFUSES[provider.refuses.value]}; source: {provider.source['refuses']}"


def _catch_all(one: "Explanation") -> Iterator[Row]:
    fact = one.catch_all
    if fact is None:
        return
    answer = "yes, it accepts made-up names" if fact.is_catch_all else "no"
    told_apart = {True: "; it tells names apart", False: "; it refuses even postmaster", None: ""}[fact.tells_apart]
    by = next(
        (read for read in (*one.domain_probes, *one.probes) if read.recorded.probe.probe_id == fact.probe_id), None
    )
    if fact.doubted_at is not None:
        told_apart += f"; in doubt since {_when(fact.doubted_at)}: it accepts names that it has refused before"
    found = f"found {_when(fact.found_at)}" + (f" by {by.recorded.probe.reply.code} to {by.about}" if by else "")
    yield "catch-all", f"{answer}{told_apart}; {found}, good until {_when(fact.expires_at)}"


def _what_comes_next(one: "Explanation") -> Iterator[Row]:
    if one.breaker is not None:
        until = _when(one.breaker.until_at)
        yield "breaker", f"open since {_when(one.breaker.opened_at)}, until {until}: {why(one.breaker.reason)}"
        label, words = _reply(0, None, one.breaker.text, "")
        is_ours = label in ("in doubt", "not believed")  # nobody says so, but its answers show it
        yield "", f"{label}: {words}" if is_ours else f"in its words: {_folded(one.breaker.text)}"
        yield "", what_to_do(one.breaker.reason)
    if one.is_forced:
        yield "again", "its turn was brought forward by --again"
    if one.left_because:
        yield "not asked", one.left_because
    if one.next_check is not None and not one.left_because:
        yield "ask again", _next(one.next_check)


def _next(planned: "NextCheck") -> str:
    if planned.at is None:
        return f"no: {planned.because}"
    wait = how_long(planned.at - datetime.now(UTC))
    return f"in {wait}, at {_when(planned.at)}, by the same command: {planned.because}"


class _Trail:
    """The recorded questions as rows. What several of them share, an egress or a rule's source, is said once."""

    def __init__(self, deciding: "DecidingRule | None") -> None:
        self._egress = ""
        self._sourced = {deciding.reply_rule} if deciding else set()

    def rows(self, read: "ReadProbe") -> Iterator[Row]:
        """When and where, who asked, what was answered, and what that means."""
        probe, session = read.recorded
        about = f"{read.about}, " if read.about and probe.kind != "mailbox" else ""
        where = "its session is not on record"
        if session is not None:
            tls = "with TLS" if session.is_tls else "without TLS"
            where = f"at {clean_text(session.mx_host)} [{session.mx_address}] {tls}; session {session.outcome}"
        mark = "; this decided" if read.is_deciding else ""
        yield PROBE_LABELS[probe.kind], f"{about}{_when(probe.asked_at)} {where}{mark}"
        if session is not None:
            yield from self._who_asked(read, session)
        reply = probe.reply
        yield _reply(reply.code, reply.enhanced, reply.text, f"{reply.stage.value} after {probe.elapsed_ms:,} ms")
        yield "read as", self._reading(read)

    def _who_asked(self, read: "ReadProbe", session: "Session") -> Iterator[Row]:
        way = f", {read.egress_way}" if read.egress_way else ""
        egress = f"egress {session.egress}: HELO {session.helo_name}, MAIL FROM <{session.mail_from}>{way}"
        if egress != self._egress:
            yield "", egress
        self._egress = egress

    def _reading(self, read: "ReadProbe") -> str:
        today, probe = read.today, read.recorded.probe
        words = f"{today.reason}, {ABOUT[today.about]}, by {today.rule}"
        if (probe.reason, probe.rule) != (today.reason, today.rule):
            words += f" (then: {probe.reason}, by {probe.rule})"
        if read.rule_source and today.rule not in self._sourced:
            words += f"; source: {read.rule_source}"
        self._sourced.add(today.rule)
        return words


def _reply(code: int, enhanced: str | None, text: str, where: str) -> Row:
    if text.startswith(NOT_ASKED):
        return "not asked", _folded(text.removeprefix(NOT_ASKED))
    if text.startswith(IN_DOUBT):
        return "in doubt", _folded(text.removeprefix(IN_DOUBT))
    if text.startswith(NOT_BELIEVED):
        return "not believed", _folded(text.removeprefix(NOT_BELIEVED))
    words = _folded(text)
    if not code:
        return "no reply", f"{words} (at {where})"
    return "reply", " ".join(part for part in (str(code), enhanced, words, f"(at {where})") if part)


def _folded(text: str) -> str:
    """One clean line of at most :data:`TEXT_LENGTH` characters; says how many it leaves out."""
    line = " / ".join(clean_text(part).strip() for part in text.split("\n"))
    rest = len(line) - TEXT_LENGTH
    return line if rest <= 0 else f"{line[:TEXT_LENGTH]}… ({rest:,} characters more)"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _holding(audience: str, source_name: str, pulled_at: datetime) -> str:
    source = f", {clean_text(source_name)}" if source_name not in ("", audience) else ""
    return f"{clean_text(audience)}{source} ({_when(pulled_at)})"


def _in_letters(address: str) -> str:
    """``address`` with its domain as people write it: xn--bcher-kiste-thb.test is bücher-kiste.test."""
    import idna

    local_part, at, domain = address.rpartition("@")
    try:
        return f"{local_part}{at}{idna.decode(domain)}" if "xn--" in domain else address
    except idna.IDNAError:
        return address
