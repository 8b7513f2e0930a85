"""Whatever a truthful host does to its sessions, every due address ends with one turn, and with its own answer."""

from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import given, note, settings
from hypothesis import strategies as st

from ct_pipeline.verification.host_group import HostGroup
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.probe import DueAddress, ProbeKind
from ct_pipeline.verification.questions import DomainQuestions
from ct_pipeline.verification.site_plan import SiteLimits, SitePlan
from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.verification.truthful_host import Faults, HostSession, Kind, Manners, Visit

KINDS = st.sampled_from([Kind.ACCEPT] * 5 + [Kind.UNKNOWN] * 3 + [Kind.FULL, Kind.GREYLIST, Kind.UNCLEAR])
EHLO_AGAIN = "250-host.test\n250-ENHANCEDSTATUSCODES\n250 HELP"
STRAYS = ["", "250 2.1.5 Ok", "550 5.1.1 User unknown", "250 2.0.0 Ok", "250 Ok", "421 4.4.2 Timeout", EHLO_AGAIN]

manners = st.builds(
    Manners,
    extensions=st.sampled_from(
        [
            ("ENHANCEDSTATUSCODES",),
            ("8BITMIME",),
            ("SMTPUTF8", "ENHANCEDSTATUSCODES"),
            ("PIPELINING", "ENHANCEDSTATUSCODES"),
            ("PIPELINING",),
        ]
    ),
    recipients_per_transaction=st.sampled_from([1, 2, 100]),
    recipients_per_session=st.sampled_from([3, 1000]),
    hangs_up_after_refusal=st.booleans(),
    answers_quit=st.sampled_from([True, True, False]),
    says_plain_ok=st.booleans(),
    quotes=st.sampled_from(["<{}>", "({})", "({})"]),
    hears_first_of_group=st.sampled_from([False, False, True]),
)
no_faults = st.just(Faults())
strays = st.builds(Faults, stray_after=st.integers(0, 12), stray=st.sampled_from(STRAYS))
cuts = st.builds(Faults, cut_after=st.integers(0, 12), cut_in_silence=st.booleans())


@dataclass(frozen=True)
class World:
    """Domains of one site: what is due at each, and the truth about every name there."""

    due: dict[str, list[DueAddress]]
    truth: dict[str, Kind]  # by address; by domain for all other names

    def kind_of(self, address: str) -> Kind:
        return self.truth.get(address) or self.truth[address.partition("@")[2]]

    def is_catch_all(self, domain: str) -> bool:
        return self.truth[domain] is Kind.ACCEPT


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One to three domains with up to twelve addresses each."""
    due: dict[str, list[DueAddress]] = {}
    truth: dict[str, Kind] = {}
    for number, kinds in enumerate(draw(st.lists(st.lists(KINDS, min_size=1, max_size=12), min_size=1, max_size=3))):
        name = f"d{number}.test"
        due[name] = [DueAddress(100 * number + n, f"user{n}@{name}", name, 0) for n in range(len(kinds))]
        truth |= {address.address: kind for address, kind in zip(due[name], kinds, strict=True)}
        truth[name] = draw(st.sampled_from([Kind.UNKNOWN, Kind.UNKNOWN, Kind.UNCLEAR, Kind.GREYLIST, Kind.ACCEPT]))
        truth[f"postmaster@{name}"] = draw(st.sampled_from([Kind.ACCEPT, Kind.UNCLEAR, Kind.GREYLIST]))
        if truth[name] is Kind.ACCEPT:  # a catch-all may refuse a name for many reasons, but knows none as unknown
            truth |= {a.address: Kind.ACCEPT for a in due[name] if truth[a.address] is Kind.UNKNOWN}
    return World(due, truth)


def visit(world: World, behaviour: Manners, faults: st.SearchStrategy[Faults], data: st.DataObject) -> Observations:
    """All that one run observes of ``world``."""
    note(f"{world} {behaviour}")
    domains = [DomainQuestions(name, due) for name, due in world.due.items()]
    plan = SitePlan(
        site="host.test",
        lane="small-00",
        provider="",
        limits=SiteLimits(
            connections=data.draw(st.integers(1, 3)),
            session_addresses=data.draw(st.sampled_from([2, 5, 50])),
            window=data.draw(st.sampled_from([2, 20])),
            connections_per_minute=6000,
            addresses_per_second=10_000,
        ),
        groups=(HostGroup((), domains),),
    )
    return Visit(
        plan,
        open_host=lambda: HostSession(world.kind_of, behaviour, data.draw(faults)),
        choose=lambda n: data.draw(st.integers(0, n - 1)),
        late=lambda: data.draw(st.booleans()),
        step=lambda: data.draw(st.sampled_from([0.01, 0.01, 0.2, 0.4])),
    ).run()


def assert_true(world: World, page: Observations) -> None:
    """Nothing that was recorded is wrong, and nobody's answer is another's evidence."""
    addresses = {a.address_id: a.address for due in world.due.values() for a in due}
    probes = {probe.probe_id: probe for probe in page.probes}
    for probe in page.probes:
        text = probe.reply.text
        if probe.kind is ProbeKind.MAILBOX and probe.reply.code not in (0, 421) and "Too many" not in text:
            assert probe.address_id is not None
            address = addresses[probe.address_id]
            assert f"<{address}>" in text or f"({address})" in text, f"{address} was given another's answer"
            assert str(probe.reply.code) == world.kind_of(address).value[:3]
    for turn in page.turns:
        if (probe := probes.get(turn.probe_id or 0)) is not None:
            assert probe.address_id in (turn.address_id, None)
        if turn.next_attempt_at is None and turn.probe_id is None:
            assert world.is_catch_all(addresses[turn.address_id].partition("@")[2])
    for fact in page.catch_all_facts:
        assert fact.is_catch_all is world.is_catch_all(fact.domain)


def assert_complete(world: World, page: Observations) -> None:
    """Every due address has exactly one turn, and one more where a vague refusal has become definitive since."""
    vague = {probe.probe_id for probe in page.probes if probe.reason is Reason.UNCLEAR_REPLY}
    first = [turn for turn in page.turns if not (turn.is_definitive and turn.probe_id in vague)]
    assert Counter(turn.address_id for turn in first) == Counter(a.address_id for d in world.due.values() for a in d)


@given(worlds(), manners, st.data())
@settings(deadline=None)
def test_a_host_that_only_has_its_manners(world: World, behaviour: Manners, data: st.DataObject):
    page = visit(world, behaviour, no_faults, data)
    assert_complete(world, page)
    assert_true(world, page)


@given(worlds(), manners, st.data())
@settings(deadline=None)
def test_a_host_that_breaks_sessions_off(world: World, behaviour: Manners, data: st.DataObject):
    page = visit(world, behaviour, cuts, data)
    assert_complete(world, page)
    assert_true(world, page)


@given(worlds(), manners, st.data())
@settings(max_examples=200, deadline=None)
def test_a_host_that_says_one_reply_too_many(world: World, behaviour: Manners, data: st.DataObject):
    """One that also leaves a command unanswered makes the numbers even, and could be seen through by nobody."""
    behaviour = replace(behaviour, hears_first_of_group=False)
    page = visit(world, behaviour, strays, data)
    assert_complete(world, page)
    assert_true(world, page)
