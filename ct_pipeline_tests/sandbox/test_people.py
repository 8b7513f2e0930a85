"""The people of a generated account: always the same, as odd as real ones, and known to mail hosts and truth."""

from collections import Counter

import pytest

from ct_pipeline.domains.disposable import is_disposable
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.sandbox.behaviours import Decidable
from ct_pipeline.sandbox.clevertap.profiles import CHANNEL_UNSUBSCRIBED, DAY_SECONDS
from ct_pipeline.sandbox.contact_file import SYNTAX_FAULTS
from ct_pipeline.sandbox.crowd import with_crowd
from ct_pipeline.sandbox.internet import Sandbox, sandbox_mailboxes
from ct_pipeline.sandbox.people import people
from ct_pipeline.sandbox.population import Inhabitants, Mailbox, population, read_inhabitants, serving_hosts
from ct_pipeline.vocabulary import Reason, Status

NOW = 1_790_000_000
COUNT = 20_000


@pytest.fixture(scope="module")
def mailboxes():
    return sandbox_mailboxes(COUNT)


@pytest.fixture(scope="module")
def profiles(mailboxes):
    return list(people(mailboxes, COUNT, NOW))


def test_the_packaged_population_comes_first_and_the_crowd_after_it(mailboxes):
    assert mailboxes[: len(population())] == population()
    assert len({mailbox.address for mailbox in mailboxes}) == len(mailboxes) > 18_000
    assert sandbox_mailboxes(0) == population()
    assert sandbox_mailboxes(10_000) == mailboxes[: len(sandbox_mailboxes(10_000))]
    assert sandbox_mailboxes(6_000, seed=1) != sandbox_mailboxes(6_000)


def test_the_crowd_is_like_the_population(mailboxes):
    size = len(population())
    shares = [
        {status: count / len(group) for status, count in Counter(box.truth_status for box in group).items()}
        for group in (mailboxes[:size], mailboxes[size:])
    ]
    for status in Status:
        assert abs(shares[0][status] - shares[1][status]) < 0.05, status


def test_the_crowd_has_addresses_of_nobody_and_a_truth_that_fits(mailboxes):
    providers = load_providers()
    for mailbox in mailboxes[len(population()) :]:
        local_part, _, domain = mailbox.address.partition("@")
        assert domain.endswith(".test") or local_part.startswith("ct-sandbox-"), mailbox
        assert (mailbox.decidable is Decidable.NO) == (mailbox.truth_status is Status.UNKNOWN)
        assert ("disposable" in mailbox.truth_flags) == is_disposable(domain), mailbox
        assert ("free" in mailbox.truth_flags) == providers.is_free(domain), mailbox


def test_hosts_answer_for_the_crowd_as_the_truth_says(session):
    """Asked over SMTP, a few of every host."""
    asked: Counter[Status] = Counter()
    with Sandbox(profile_count=8_000, smtp_port=0, dns_port=0, greylist_seconds=0).run_in_thread() as sandbox:
        everyone = sandbox.inhabitants
        domains = {domain.domain: domain for domain in everyone.domains}
        machines = {host.host: host for host in everyone.hosts}
        crowd = everyone.mailboxes[1 + len(population()) :]
        by_host: dict[str, list[Mailbox]] = {}
        for mailbox in crowd:
            hosts = [name for name in serving_hosts(domains[mailbox.domain], domains) if machines[name].does.listens]
            if hosts and mailbox.truth_reason is not Reason.PROVIDER_FORBIDS_PROBING:
                by_host.setdefault(hosts[0], []).append(mailbox)
        for host, some in by_host.items():
            with session(sandbox, host) as client:
                for mailbox in some[:20]:
                    code, text = client.rcpt(mailbox.address)
                    asked[mailbox.truth_status] += 1
                    is_accepted = (
                        mailbox.truth_status in (Status.VALID, Status.CATCH_ALL)
                        or mailbox.truth_reason is Reason.PROVIDER_HIDES_ANSWER
                    )
                    assert (code == 250) == is_accepted, (mailbox, code, text)
    assert min(asked.values()) > 20
    assert set(asked) == set(Status)


def test_without_a_home_that_would_do_there_is_no_crowd():
    nobody = Inhabitants([], [], [])
    assert with_crowd(nobody, 100) == nobody
    inhabitants = read_inhabitants()
    assert len(with_crowd(inhabitants, 10).mailboxes) == len(inhabitants.mailboxes)


def test_the_same_seed_gives_the_same_people(mailboxes):
    def drawn(seed):
        return [
            (person.identity, person.email, person.object_ids, person.properties)
            for person in people(mailboxes, 500, NOW, seed)
        ]

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)


def test_their_addresses_are_those_of_the_mailboxes_in_many_spellings(profiles, mailboxes):
    known = {mailbox.address for mailbox in mailboxes}
    with_email = [profile for profile in profiles if profile.email is not None]
    assert 0.93 < len(with_email) / COUNT < 0.95
    named = [profile for profile in with_email if profile.mailbox is not None]
    assert {profile.mailbox for profile in named} <= known
    assert len({profile.mailbox for profile in named}) > 0.97 * len(known)
    messy = [profile for profile in named if profile.email != profile.mailbox]
    assert len(messy) > 200
    assert {profile.email for profile in with_email if profile.mailbox is None} <= set(SYNTAX_FAULTS)
    shared = Counter(profile.email for profile in named)
    assert sum(count > 1 for count in shared.values()) > 100


def test_they_are_as_odd_as_real_ones(profiles):
    def share(condition):
        return sum(map(condition, profiles)) / COUNT

    assert 0.02 < share(lambda profile: profile.email is not None and profile.identity is None) < 0.06
    assert 0.005 < share(lambda profile: len(profile.identities) > 1) < 0.02
    assert 0.1 < share(lambda profile: len(profile.object_ids) > 1) < 0.3
    assert share(lambda profile: isinstance(profile.phone, int)) > 0.1
    assert share(lambda profile: isinstance(profile.phone, str)) > 0.01
    assert 0 < share(lambda profile: not profile.raised) < 0.005
    assert 0 < share(lambda profile: set(profile.raised) == {"Reachable By"}) < 0.02
    visits = {type(profile.properties["visits"]) for profile in profiles if "visits" in profile.properties}
    tags = {type(profile.properties["Tags"]) for profile in profiles if "Tags" in profile.properties}
    assert (visits, tags) == ({int, str}, {str, list})
    assert not any("@" in identity for profile in profiles for identity in profile.identities)
    objects = [object_id for profile in profiles for object_id in profile.object_ids]
    assert len(set(objects)) == len(objects)


def test_some_opted_out_before_anyone_cleaned_the_list(profiles):
    opted = [profile for profile in profiles if CHANNEL_UNSUBSCRIBED in profile.raised]
    assert 0.02 < len(opted) / COUNT < 0.06
    kinds = Counter(
        (
            profile.is_dnd,
            profile.msg_email,
            profile.raised[CHANNEL_UNSUBSCRIBED][-1].properties.get("Subscription Type"),
        )
        for profile in opted
    )
    assert set(kinds) == {
        (True, None, "account"),  # opted out
        (False, None, "account"),  # and in again
        (False, False, "profile"),
        (False, None, None),  # of push messages
    }
    assert sum(profile.msg_email is False and profile not in opted for profile in profiles) > 20
    words = {
        str(raised.properties["Resubscribed"]) for profile in opted for raised in profile.raised[CHANNEL_UNSUBSCRIBED]
    }
    assert words == {"True", "False", "true", "false"}


def test_what_they_did_lies_within_the_past_year_in_order(profiles):
    for profile in profiles:
        for raised in profile.raised.values():
            moments = [one.at for one in raised]
            assert moments == sorted(moments)
            assert NOW - 365 * DAY_SECONDS < moments[0] <= moments[-1] < NOW


def test_every_profile_with_an_at_sign_and_an_event_is_exported(account, mailboxes):
    client = account(*people(mailboxes, 2_000, NOW), clock=lambda: float(NOW))
    expected = {
        profile.object_ids
        for profile in client.clevertap.account.profiles
        if profile.email is not None and "@" in profile.email and profile.raised
    }
    found = [tuple(device["objectId"] for device in record["platformInfo"]) for record in client.everyone()]
    assert len(found) == len(set(found))
    assert set(found) == expected
