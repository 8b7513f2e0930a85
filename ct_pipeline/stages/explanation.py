"""Everything on record that explains a verdict, gathered into one record per address. Asks nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ct_pipeline.addresses.normalize import NormalizedAddress
from ct_pipeline.addresses.operator_lists import Listing
from ct_pipeline.domains.facts import DomainFacts
from ct_pipeline.domains.providers import Provider, load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.stages.egresses import load_egresses
from ct_pipeline.stages.fact_sources import flag_sources
from ct_pipeline.stages.judge import judge_addresses
from ct_pipeline.stages.operator_list_files import load_operator_lists
from ct_pipeline.storage.domain_facts import domain_facts
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.trail import (
    Holding,
    Judged,
    RecordedProbe,
    breakers_of,
    held_by,
    known_addresses,
    latest_catch_all_facts,
    probes_about,
    probes_of_domains,
)
from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verdicts.rule_words import reply_rule_of, rule_in_words
from ct_pipeline.verdicts.verdict import Verdict
from ct_pipeline.verification.next_check import DueState, NextCheck, next_check
from ct_pipeline.verification.probe import CatchAllFact, ProbeKind
from ct_pipeline.verification.questions import random_name
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.reply_rules import load_rules
from ct_pipeline.verification.site_memory import BreakerNote
from ct_pipeline.vocabulary import Status

HOLDINGS_SHOWN = 3  # the last lists and pulls that brought it
PROBES_SHOWN = 10  # the last about an address
DOMAIN_PROBES_SHOWN = 4  # the last of each kind


@dataclass(frozen=True, slots=True)
class ReadProbe:
    """A recorded question, what today's rules read in its reply, and where that rule comes from."""

    recorded: RecordedProbe
    about: str  # the address that was asked about; "" for a session that was refused
    egress_way: str  # how that egress connects today; "" where no egress has its name any more
    today: Reading
    rule_source: str  # "" where no rule fits
    is_deciding: bool


@dataclass(frozen=True, slots=True)
class DecidingRule:
    """Both halves of the verdict's ``rule``: the judge's in words, and what the other one rests on.

    ``reply_rule`` and ``source`` are None where no reply decided. ``source`` is that of a reply rule, or
    of a claim of ``providers.toml``.
    """

    rule: str
    in_words: str
    reply_rule: str | None = None
    reading: Reading | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One address as it was given, and all that its verdict rests on. ``verdict`` is None: the ledger never met it."""

    given: str
    address: str
    syntax_reason: str | None = None
    verdict: Verdict | None = None
    judged_before: Judged | None = None  # the stored verdict, where it has just come out differently
    deciding: DecidingRule | None = None
    held_by: Sequence[Holding] = ()  # the newest first; empty: it is known from `check` alone
    facts: DomainFacts | None = None
    provider: Provider | None = None  # None: a small site, without a row of its own
    catch_all: CatchAllFact | None = None
    listing: Listing | None = None  # the entry of the operator's lists that covers it
    flags: Mapping[str, str] = field(default_factory=dict)  # name of each flag that is set -> the list that says so
    probes: Sequence[ReadProbe] = ()  # the newest first
    domain_probes: Sequence[ReadProbe] = ()  # likewise: made-up names, postmaster, refused sessions
    next_check: NextCheck | None = None
    breaker: BreakerNote | None = None  # of its site, as seen from the egress that asks it
    left_because: str = ""  # why it was not asked although it is due
    is_forced: bool = False  # it was put off, or its answer was fresh, and it became due all the same


def explain(settings: Settings, normalized: Sequence[NormalizedAddress]) -> list[Explanation]:
    """One explanation per address, in that order. The addresses that the ledger knows are judged by today's rules.

    Raises:
        LedgerUnavailableError: the database does not answer.
        SettingsError: the egresses, or the operator's lists, do not fit.
    """
    records = _Records(settings, [one.address for one in normalized])
    return [records.explanation(one) for one in normalized]


class _Records:
    """What the ledger holds of some addresses, read at once."""

    def __init__(self, settings: Settings, addresses: Sequence[str]) -> None:
        self._now = datetime.now(UTC)
        self._fresh_for = timedelta(days=settings.fresh_for_days)
        self._egresses = load_egresses(settings)
        self._ways = {row.egress.name: row.egress.way for row in self._egresses.rows}
        self._providers = load_providers()
        self._lists = load_operator_lists(settings)
        rules = load_rules()
        self._reader = ReplyReader(rules)
        self._sources = {rule.name: rule.source for rule in rules.rules}
        with open_ledger(settings) as conn:
            self._known = known_addresses(conn, addresses)
        self._verdicts = {verdict.address: verdict for verdict in judge_addresses(settings, list(self._known))}
        domains = sorted({known.domain for known in self._known.values() if known.domain})
        with open_ledger(settings) as conn:
            self._facts = domain_facts(conn, domains)
            self._catch_all = latest_catch_all_facts(conn, domains)
            address_ids = [known.address_id for known in self._known.values()]
            self._holdings = held_by(conn, address_ids, HOLDINGS_SHOWN)
            self._probes = probes_about(conn, address_ids, PROBES_SHOWN)
            self._domain_probes = probes_of_domains(conn, domains, DOMAIN_PROBES_SHOWN)
            self._breakers = breakers_of(conn, sorted({facts.site for facts in self._facts.values()}))

    def explanation(self, one: NormalizedAddress) -> Explanation:
        known, verdict = self._known.get(one.address), self._verdicts.get(one.address)
        if known is None or verdict is None:
            return Explanation(one.raw_email, one.address, one.syntax_reason)
        facts = self._facts.get(known.domain or "")
        provider = self._providers.named(facts.provider) if facts else None
        catch_all = self._catch_all.get(known.domain or "")
        about_it = self._probes.get(known.address_id, [])
        deciding_id = _deciding_probe_id(verdict, about_it, catch_all)
        probes = [self._read(recorded, known.address, facts, deciding_id) for recorded in about_it]
        breaker = self._breaker(facts)
        last = next((probe.today for probe in probes if probe.recorded.probe.probe_id == known.probe_id), None)
        state = DueState(known.attempt_count, known.next_attempt_at, known.answered_at)
        return Explanation(
            given=one.raw_email,
            address=one.address,
            syntax_reason=one.syntax_reason,
            verdict=verdict,
            judged_before=_changed(known.judged, verdict),
            deciding=self._deciding(verdict, provider, probes),
            held_by=self._holdings.get(known.address_id, ()),
            facts=facts,
            provider=provider,
            catch_all=catch_all,
            listing=self._lists.listing_of(one.address),
            flags=flag_sources(verdict, self._providers),
            probes=probes,
            domain_probes=[
                self._read(recorded, "", facts, deciding_id)
                for recorded in self._domain_probes.get(known.domain or "", ())
                if recorded not in about_it
            ],
            next_check=next_check(state, last, facts, breaker, self._fresh_for, self._now),
            breaker=breaker,
        )

    def _breaker(self, facts: DomainFacts | None) -> BreakerNote | None:
        if facts is None or not self._egresses.has_lane(facts.lane):
            return None
        return self._breakers.get(facts.site, {}).get(self._egresses.of_lane(facts.lane).name)

    def _read(
        self, recorded: RecordedProbe, address: str, facts: DomainFacts | None, deciding_id: int | None
    ) -> ReadProbe:
        probe = recorded.probe
        today = self._reader.read(probe.reply, facts.provider if facts else "")
        return ReadProbe(
            recorded=recorded,
            about=_asked_about(recorded, address, self._domain_probes.get(probe.domain, ())),
            egress_way=self._ways.get(recorded.session.egress, "") if recorded.session else "",
            today=today,
            rule_source=self._sources.get(today.rule, ""),
            is_deciding=probe.probe_id == deciding_id,
        )

    def _deciding(self, verdict: Verdict, provider: Provider | None, probes: list[ReadProbe]) -> DecidingRule:
        words, reply_rule = rule_in_words(verdict.rule), reply_rule_of(verdict.rule)
        if reply_rule is None:
            return DecidingRule(verdict.rule, words)
        if reply_rule.startswith("providers.toml:"):
            return DecidingRule(verdict.rule, words, reply_rule, None, _claim_source(provider, reply_rule))
        reading = next((probe.today for probe in probes if probe.is_deciding), None)
        return DecidingRule(verdict.rule, words, reply_rule, reading, self._sources.get(reply_rule))


def _claim_source(provider: Provider | None, rule: str) -> str | None:
    """The source of the claim that a rule such as ``providers.toml:yahoo:probing`` names."""
    claim = rule.rpartition(":")[2]
    source = provider.source.get("accepts" if claim == "hides_answer" else claim) if provider else None
    return str(source) if source else None


def _changed(judged: Judged | None, verdict: Verdict) -> Judged | None:
    if judged is None or (judged.status, judged.reason) == (verdict.status, verdict.reason):
        return None
    return judged


def _deciding_probe_id(
    verdict: Verdict, about_it: Sequence[RecordedProbe], catch_all: CatchAllFact | None
) -> int | None:
    """The probe that the verdict rests on: a reply about the address, not always the last; or a catch-all's."""
    if reply_rule_of(verdict.rule) is not None:
        at = verdict.verified_at
        return next((one.probe.probe_id for one in about_it if one.probe.asked_at == at), None)
    return catch_all.probe_id if verdict.status is Status.CATCH_ALL and catch_all is not None else None


def _asked_about(recorded: RecordedProbe, address: str, of_its_domain: Sequence[RecordedProbe]) -> str:
    """What was asked about, "" for a session. The ledger does not keep which of its made-up names a domain was asked:
    the reply often quotes it; else the first of a session is the first name.
    """
    probe = recorded.probe
    match probe.kind:
        case ProbeKind.MAILBOX | ProbeKind.WITNESS:
            return address
        case ProbeKind.CONTROL:
            return f"postmaster@{probe.domain}"
        case ProbeKind.SESSION:
            return ""
    names = [f"{random_name(probe.domain, number)}@{probe.domain}" for number in (0, 1)]
    quoted = next((name for name in names if name in probe.reply.text.lower()), None)
    is_second = any(
        other.probe.kind is ProbeKind.RANDOM
        and other.probe.session_id == probe.session_id
        and other.probe.probe_id < probe.probe_id
        for other in of_its_domain
    )
    return quoted or names[is_second]
