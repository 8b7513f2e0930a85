"""The packaged population: its files, its variety, and that the hosts really behave as the truth says."""

import dataclasses
import re
from collections import Counter

import pytest

from ct_pipeline.domains.disposable import is_disposable
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.behaviours import HOST_BEHAVIOURS, Decidable, DomainDns
from ct_pipeline.sandbox.generate import generate
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.sandbox.population import population, read_inhabitants, serving_hosts, write_inhabitants
from ct_pipeline.vocabulary import Reason, Status

REFUSED_LIKE_EVERYBODY = (550, b"Rejected")  # what hosts say that refuse every name: test_mail_hosts.py asks one


@pytest.fixture(scope="module")
def inhabitants():
    return read_inhabitants()


def test_the_packaged_files_are_what_the_generator_writes(inhabitants):
    assert generate() == dataclasses.replace(
        inhabitants, hosts=list(inhabitants.hosts), domains=list(inhabitants.domains), mailboxes=population()
    )


def test_files_survive_a_round_trip(inhabitants, tmp_path):
    write_inhabitants(inhabitants, tmp_path)
    assert read_inhabitants(tmp_path) == inhabitants


def test_a_wrong_word_in_a_file_is_named_with_its_line(inhabitants, tmp_path):
    write_inhabitants(inhabitants, tmp_path)
    file = tmp_path / "hosts.csv"
    file.write_text(file.read_text("utf-8").replace(",normal,", ",sleepy,", 1), "utf-8")
    with pytest.raises(SettingsError, match=r"hosts\.csv, line 2: 'sleepy' is no behaviour of a mail host"):
        read_inhabitants(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"hosts\.csv: No such file.*population\.csv"):
        read_inhabitants(tmp_path)


def test_size_and_share_of_the_large_providers(inhabitants):
    providers = load_providers()
    at_providers = {
        domain.domain
        for domain in inhabitants.domains
        if domain.hosts and providers.of_host(domain.hosts[0]) is not None
    }
    share = sum(mailbox.domain in at_providers for mailbox in inhabitants.mailboxes) / len(inhabitants.mailboxes)
    assert 3500 < len(inhabitants.mailboxes) < 4500
    assert 0.55 < share < 0.65


def test_every_behaviour_and_every_kind_of_dns_occurs(inhabitants):
    assert {host.behaviour for host in inhabitants.hosts} == set(HOST_BEHAVIOURS)
    assert {domain.dns for domain in inhabitants.domains} == set(DomainDns)


def test_addresses_are_nobodys(inhabitants):
    """Reserved names, or a local part that no person has."""
    for mailbox in inhabitants.mailboxes:
        assert mailbox.domain.endswith(".test") or re.match(r"ct-sandbox-\d{4}@", mailbox.address), mailbox
    assert len({mailbox.address for mailbox in inhabitants.mailboxes}) == len(inhabitants.mailboxes)


def test_the_truth_agrees_with_what_is_known_of_providers_and_disposable_domains(inhabitants):
    providers = load_providers()
    first_host = {domain.domain: domain.hosts[0] for domain in inhabitants.domains if domain.hosts}
    for mailbox in inhabitants.mailboxes:
        provider = providers.of_host(first_host[mailbox.domain]) if mailbox.domain in first_host else None
        hides = provider is not None and provider.hides_answer
        forbids = provider is not None and provider.probing == "forbidden"
        assert (mailbox.truth_reason == Reason.PROVIDER_HIDES_ANSWER) == hides, mailbox
        assert (mailbox.truth_reason == Reason.PROVIDER_FORBIDS_PROBING) == forbids, mailbox
        assert ("disposable" in mailbox.truth_flags) == is_disposable(mailbox.domain), mailbox
        assert ("free" in mailbox.truth_flags) == providers.is_free(mailbox.domain), mailbox


def test_unknown_is_the_only_undecidable_truth(inhabitants):
    for mailbox in inhabitants.mailboxes:
        assert (mailbox.decidable is Decidable.NO) == (mailbox.truth_status is Status.UNKNOWN), mailbox


def test_hosts_answer_for_their_mailboxes_as_the_truth_says(inhabitants, session):
    """Every mailbox of every host that talks, asked over SMTP: what is true must be what a patient client is told."""
    asked: Counter[str] = Counter()
    machines = {host.host: host for host in inhabitants.hosts}
    by_host: dict[str, list] = {}
    talking = {"normal", "one_recipient", "session_limit", "hangs_up_after_refusal", "starttls", "greylists"}
    domains = {domain.domain: domain for domain in inhabitants.domains}
    for mailbox in inhabitants.mailboxes:
        hosts = serving_hosts(domains[mailbox.domain], domains)
        alive = next((machines[name] for name in hosts if machines[name].does.listens), None)
        if alive is not None and alive.behaviour in talking and mailbox.address.isascii():
            by_host.setdefault(alive.host, []).append(mailbox)
    accepted = {Status.VALID, Status.CATCH_ALL}
    with Sandbox(smtp_port=0, dns_port=0, greylist_seconds=0).run_in_thread() as sandbox:
        for host, mailboxes in by_host.items():
            size = 1 if machines[host].behaviour in talking - {"normal", "starttls", "greylists"} else 100
            for start in range(0, len(mailboxes), size):
                with session(sandbox, host) as client:
                    for mailbox in mailboxes[start : start + size]:
                        code, text = client.rcpt(mailbox.address)
                        asked[mailbox.truth_status] += 1
                        if mailbox.truth_reason in (Reason.PROVIDER_FORBIDS_PROBING, Reason.RELAY_DENIED):
                            continue
                        assert (code == 250) == (mailbox.truth_status in accepted), (mailbox, code, text)
                        assert (400 <= code < 500) == (mailbox.truth_status is Status.UNKNOWN), (mailbox, code, text)
                        is_bare = (code, text) == REFUSED_LIKE_EVERYBODY
                        assert is_bare == (mailbox.decidable is Decidable.BESIDE_NEIGHBOUR), (mailbox, code, text)
    assert asked[Status.VALID] > 2000
    assert asked[Status.CATCH_ALL] > 100
    assert asked[Status.INVALID] > 200
