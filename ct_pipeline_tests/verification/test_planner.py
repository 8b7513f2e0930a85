"""Which sites and mail hosts a lane's addresses are grouped by, within which limits, and who is not asked at all."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.addresses.operator_lists import NO_LISTS, OperatorLists
from ct_pipeline.domains.facts import DomainFacts, MxHost
from ct_pipeline.domains.providers import Providers, RandomProbe, load_providers, read_providers
from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.planner import LanePlan, Limits, plan_lane
from ct_pipeline.verification.probe import CatchAllFact, DueAddress, ProbeKind
from ct_pipeline.verification.questions import LARGE_DOMAIN
from ct_pipeline.verification.site_plan import SiteLimits, SitePlan
from ct_pipeline.vocabulary import About, MailService, Reason

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SMALL = SiteLimits(3, 40, window=20, connections_per_minute=100, addresses_per_second=100)
LIMITS = Limits(SMALL, probe_forbidden=False)
ROW = """
[[provider]]
name = "{name}"
title = "Test"
mx_suffixes = [".{name}.test"]
has_lane = false
random_probe = "{random_probe}"
probing = "{probing}"
accepts = "{accepts}"
{limits}
[provider.source]
limits = "a test (2026-11)"
pipelining = "a test (2026-11)"
random_probe = "a test (2026-11)"
probing = "a test (2026-11)"
accepts = "a test (2026-11)"
none = "2026-11"
"""


def providers(name: str = "big", **columns: str) -> Providers:
    row = {"random_probe": "same_session", "probing": "allowed", "accepts": "believed", "limits": ""} | columns
    return read_providers(ROW.format(name=name, **row))


def facts(
    domain: str, *mx: tuple[int, str, str], provider: str = "", site: str = "site.test", hours: int = 0
) -> DomainFacts:
    return DomainFacts(
        domain=domain,
        service=MailService.MX,
        mx_hosts=tuple(MxHost(preference, host, tuple(addresses.split())) for preference, host, addresses in mx),
        mx_record=mx[0][1] if mx else None,
        provider=provider,
        site=site,
        lane="small-00",
        is_disposable=False,
        is_free=False,
        looked_up_at=NOW + timedelta(hours=hours),
        expires_at=NOW + timedelta(days=1),
    )


def plan(known: Iterable[DomainFacts], rows: Providers | None = None, per_domain: int = 1, **options) -> LanePlan:
    known = list(known)
    due = [
        DueAddress(100 * number + n, f"user{n}@{one.domain}", one.domain, 0)
        for number, one in enumerate(known, start=1)
        for n in range(per_domain)
    ]
    catch_all: dict[str, CatchAllFact] = options.pop("catch_all", {})
    lists: OperatorLists = options.pop("lists", NO_LISTS)
    limits = Limits(**{"site": SMALL, "probe_forbidden": False} | options)
    by_domain = {one.domain: one for one in known}
    return plan_lane("small-00", due, by_domain, catch_all, rows or load_providers(), limits, NOW, lists)


def only_site(lane_plan: LanePlan) -> SitePlan:
    (site,) = lane_plan.sites
    return site


def groups(site: SitePlan) -> list[set[str]]:
    return [{domain.domain for domain in group.domains} for group in site.groups]


def test_domains_with_the_same_mail_hosts_share_their_sessions():
    mx = [(10, "mx1.host.test", "192.0.2.1"), (20, "mx2.host.test", "192.0.2.2")]
    site = only_site(plan([facts("a.test", *mx), facts("b.test", *mx), facts("c.test", mx[1])]))
    assert groups(site) == [{"a.test", "b.test"}, {"c.test"}]


def test_preferences_and_addresses_may_differ_as_long_as_names_and_order_agree():
    """Large providers answer with other addresses each time, and every customer copies other preferences."""
    site = only_site(
        plan(
            [
                facts("a.test", (1, "mx1.host.test", "192.0.2.1"), (5, "mx2.host.test", "192.0.2.2")),
                facts("b.test", (10, "mx1.host.test", "192.0.2.3"), (20, "mx2.host.test", "192.0.2.2"), hours=1),
            ]
        )
    )
    (group,) = site.groups
    assert [(mx.preference, mx.host) for mx in group.mx_hosts] == [(0, "mx1.host.test"), (1, "mx2.host.test")]
    assert group.mx_hosts[0].addresses == ("192.0.2.3", "192.0.2.1"), "the newest look-up first"


def test_another_order_of_the_same_hosts_is_another_group():
    one, two = "mx1.host.test", "mx2.host.test"
    site = only_site(
        plan(
            [
                facts("a.test", (1, one, "192.0.2.1"), (2, two, "192.0.2.2")),
                facts("b.test", (1, two, "192.0.2.2"), (2, one, "192.0.2.1")),
                facts("c.test", (1, two, "192.0.2.2"), (1, one, "192.0.2.1")),
            ]
        )
    )
    assert groups(site) == [{"a.test"}, {"b.test"}, {"c.test"}]
    assert [mx.preference for mx in site.groups[2].mx_hosts] == [0, 0]


def test_ipv4_comes_before_ipv6_and_the_addresses_of_a_host_are_bounded():
    known = [facts(f"d{n}.test", (1, "mx.host.test", f"192.0.2.{n} 2001:db8::{n}"), hours=n) for n in range(20)]
    (mx,) = only_site(plan(known)).groups[0].mx_hosts
    assert len(mx.addresses) == 8
    versions = [6 if ":" in address else 4 for address in mx.addresses]
    assert versions == sorted(versions)
    assert mx.addresses[0] == "192.0.2.19"


def test_a_site_without_a_row_has_the_settings_limits_and_one_with_a_row_its_own():
    mx = (1, "mx.big.test", "192.0.2.1")
    small = only_site(plan([facts("a.test", mx)]))
    assert small.limits == SMALL
    rows = providers(limits="connections = 7\nsession_addresses = 11\nwindow = 1\naddresses_per_second = 5")
    big = only_site(plan([facts("a.test", mx, provider="big", site="big")], rows))
    assert big.limits == SiteLimits(7, 11, window=1, connections_per_minute=100, addresses_per_second=5)
    silent = only_site(plan([facts("a.test", mx, provider="big", site="big")], providers()))
    assert silent.limits == SMALL


@pytest.mark.parametrize(
    ("columns", "options", "is_asked"),
    [
        ({"probing": "forbidden"}, {}, False),
        ({"probing": "forbidden"}, {"probe_forbidden": True}, True),
        ({"probing": "discouraged"}, {}, True),
        ({"accepts": "in_doubt"}, {}, True),
        ({"accepts": "hidden", "random_probe": "never"}, {}, False),
        ({"accepts": "hidden", "random_probe": "never"}, {"probe_forbidden": True}, False),
    ],
)
def test_who_is_not_asked_at_all(columns, options, is_asked):
    known = facts("a.test", (1, "mx.big.test", "192.0.2.1"), provider="big", site="big")
    lane_plan = plan([known], providers(**columns), per_domain=2, **options)
    assert bool(lane_plan.sites) is is_asked
    assert len(lane_plan.not_asked) == (0 if is_asked else 2)


@pytest.mark.parametrize("random_probe", list(RandomProbe))
def test_the_row_says_how_made_up_names_are_asked(random_probe):
    known = facts("a.test", (1, "mx.big.test", "192.0.2.1"), provider="big", site="big")
    site = only_site(plan([known], providers(random_probe=random_probe.value), per_domain=2))
    (questions,) = site.groups[0].domains
    questions.next()
    assert questions.is_unsettled is (random_probe is not RandomProbe.NEVER)


def fact(is_catch_all: bool) -> dict[str, CatchAllFact]:
    return {"a.test": CatchAllFact("a.test", is_catch_all, None, None, NOW, NOW + timedelta(days=1))}


def test_addresses_of_a_domain_that_is_known_as_a_catch_all_are_not_asked():
    lane_plan = plan([facts("a.test", (1, "mx.host.test", "192.0.2.1"))], per_domain=3, catch_all=fact(True))
    assert lane_plan.sites == []
    assert len(lane_plan.not_asked) == 3


def test_where_it_is_known_that_names_matter_no_made_up_one_is_needed():
    site = only_site(plan([facts("a.test", (1, "mx.host.test", "192.0.2.1"))], per_domain=3, catch_all=fact(False)))
    (questions,) = site.groups[0].domains
    assert questions.is_catch_all is False
    assert questions.open_count == 3


@pytest.mark.parametrize(("hours", "may_confirm"), [(1, False), (24, True)])
def test_a_doubt_may_be_confirmed_after_most_of_a_day(hours: int, may_confirm: bool) -> None:
    doubted = {"a.test": fact(False)["a.test"]._replace(doubted_at=NOW - timedelta(hours=hours))}
    site = only_site(plan([facts("a.test", (1, "mx.host.test", "192.0.2.1"))], per_domain=3, catch_all=doubted))
    (questions,) = site.groups[0].domains
    assert questions.open_count == 1, "one name, and then a made-up one"
    assert questions.heard.may_confirm is may_confirm


def test_addresses_of_domains_without_facts_are_left_out():
    due = [DueAddress(1, "ann@nowhere.test", "nowhere.test", 0)]
    assert plan_lane("small-00", due, {}, {}, load_providers(), LIMITS, NOW) == LanePlan([], [])


def test_what_the_operators_lists_name_is_not_asked():
    mx = (1, "mx.host.test", "192.0.2.1")
    lists = OperatorLists(allow=frozenset({"user0@a.test"}), block=frozenset({"b.test"}))
    planned = plan([facts("a.test", mx), facts("b.test", mx)], per_domain=2, lists=lists)
    assert [one.address for one in planned.listed] == ["user0@a.test", "user0@b.test", "user1@b.test"]
    (group,) = only_site(planned).groups
    assert [(questions.domain, questions.open_count) for questions in group.domains] == [("a.test", 1)]
    assert planned.not_asked == []


@pytest.mark.parametrize(("asks_once", "made_up_names"), [(True, 1), (False, 2)])
def test_the_mode_decides_how_a_site_is_asked(asks_once: bool, made_up_names: int):
    mx = (10, "mx1.host.test", "192.0.2.1")
    site = only_site(plan([facts("a.test", mx)], per_domain=LARGE_DOMAIN, asks_once=asks_once))
    assert site.asks_once is asks_once
    (questions,) = site.groups[0].domains
    asked = []
    while (question := questions.next()) is not None:
        asked.append(question.kind)
        questions.receive(question, Reading(Reason.ACCEPTED, About.ADDRESS, "test"))
    assert asked.count(ProbeKind.RANDOM) == made_up_names


def test_a_domain_is_asked_in_another_order_at_each_visit_and_in_the_same_when_planned_anew() -> None:
    def order(attempt_count: int) -> list[str]:
        due = [DueAddress(number, f"u{number}@a.test", "a.test", attempt_count) for number in range(40)]
        planned = plan_lane("hash-00", due, {"a.test": facts("a.test")}, {}, load_providers(), LIMITS, NOW)
        (domain,) = only_site(planned).groups[0].domains
        return [waiting.address for waiting in domain.take_waiting()]

    assert order(0) == order(0)
    assert order(0) != order(1)
    assert sorted(order(0)) == sorted(order(1)) != order(0)
    assert len(order(0)) == 40
