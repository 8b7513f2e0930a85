"""Nobody is asked before DNS bears out our HELO name: against a real DNS server with everything that can be wrong."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.errors import CtPipelineError, NameServersUnavailableError, SettingsError
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.egresses import load_egresses
from ct_pipeline.stages.helo_names import refuse_unfit_helo_names

LANES = lane_keys(load_providers())
PUBLIC = "198.41.0.4"  # nobody connects to it
RECORDS = {
    "good.test": ["A 127.88.0.1"],
    "1.0.88.127.in-addr.arpa": ["PTR Good.Test."],
    "one-of-two.test": ["A 127.88.0.2", "A 127.88.0.3"],
    "3.0.88.127.in-addr.arpa": ["PTR one-of-two.test."],
    "2.0.88.127.in-addr.arpa": ["PTR else.test."],
    "noreverse.test": ["A 127.88.0.4"],
    "broken.test": ["SERVFAIL"],
    "brokenreverse.test": ["A 127.88.0.5"],
    "5.0.88.127.in-addr.arpa": ["SERVFAIL"],
    "mailonly.test": ["MX 10 good.test."],
    "six.test": ["AAAA ::2"],
    "2." + "0." * 31 + "ip6.arpa": ["PTR six.test."],
    "4.0.41.198.in-addr.arpa": ["PTR public.test."],
    "public.test": ["A 127.88.0.9"],
}


@pytest.fixture(scope="module")
def nameserver() -> Iterator[str]:
    with Sandbox(domains=[], records=RECORDS, smtp_port=0, dns_address="127.77.0.5", dns_port=0).run_in_thread() as one:
        yield one.nameserver


def check(nameserver: str, **settings: object) -> None:
    given = {"nameservers": nameserver, "dns_timeout_seconds": 5, "helo_name": "good.test", **settings}
    loaded = load_settings(**given)
    refuse_unfit_helo_names(loaded, load_egresses(loaded), LANES)


def refusal(nameserver: str, kind: type[CtPipelineError] = SettingsError, **settings: object) -> str:
    with pytest.raises(kind) as refused:
        check(nameserver, **settings)
    return str(refused.value)


@pytest.mark.parametrize("name", ["good.test", "GOOD.test", "good.test.", "one-of-two.test", "six.test"])
def test_a_name_that_leads_to_an_address_and_back_is_fit(nameserver: str, name: str) -> None:
    check(nameserver, helo_name=name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "gone.test",
            "CT_HELO_NAME: gone.test does not resolve: DNS knows no such name. Add an A record for gone.test",
        ),
        ("mailonly.test", "CT_HELO_NAME: mailonly.test does not resolve: no address. Add an A record"),
        (
            "noreverse.test",
            "noreverse.test is 127.88.0.4, whose reverse DNS is nothing. Ask whoever gave you 127.88.0.4",
        ),
        ("else.test", "CT_HELO_NAME: else.test does not resolve"),
        ("localhost", "CT_HELO_NAME: 'localhost' is no public name. Set CT_HELO_NAME to this machine's public name"),
        ("[127.0.0.1]", "CT_HELO_NAME: [127.0.0.1] does not resolve"),
    ],
)
def test_a_name_that_does_not_is_refused_with_the_mend(nameserver: str, name: str, words: str) -> None:
    said = refusal(nameserver, helo_name=name)
    assert words in said
    assert said.endswith("CT_HELO_UNCHECKED=true verifies all the same, but many hosts will turn us away.")
    check(nameserver, helo_name=name, helo_unchecked=True)


def test_the_reverse_dns_of_a_public_source_address_counts(nameserver: str) -> None:
    check(nameserver, helo_name="public.test", source_address=PUBLIC)
    said = refusal(nameserver, source_address=PUBLIC)
    assert f"good.test is {PUBLIC}, whose reverse DNS is public.test" in said
    assert f"Ask whoever gave you {PUBLIC} to set its reverse DNS (PTR) to good.test." in said


def test_a_private_source_address_is_behind_nat(nameserver: str) -> None:
    check(nameserver, source_address="10.0.0.7")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken.test", "CT_HELO_NAME: broken.test could not be looked up: "),
        ("brokenreverse.test", "CT_HELO_NAME: the reverse DNS of 127.88.0.5 could not be looked up: "),
    ],
)
def test_a_nameserver_that_fails_is_no_fault_of_the_name(nameserver: str, name: str, words: str) -> None:
    assert words in refusal(nameserver, NameServersUnavailableError, helo_name=name)
    check(nameserver, helo_name=name, helo_unchecked=True)


def test_a_nameserver_that_is_silent_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        said = refusal(address, NameServersUnavailableError, dns_timeout_seconds=0.3)
    assert "CT_HELO_NAME: good.test could not be looked up: no nameserver answered in time" in said


def test_only_egresses_that_are_needed_are_looked_up_and_the_file_and_row_are_named(
    nameserver: str, tmp_path: Path
) -> None:
    path = tmp_path / "egresses.toml"
    path.write_text(
        '[[egress]]\nname = "paris"\nhelo_name = "gone.test"\nlanes = ["google"]\n[[egress]]\nname = "delhi"\n'
    )
    settings: Settings = load_settings(nameservers=nameserver, helo_name="good.test", egress_file=path)
    egresses = load_egresses(settings)
    refuse_unfit_helo_names(settings, egresses, ["small-00", "yahoo"])
    with pytest.raises(
        SettingsError, match=r"^helo_name in egresses.toml, row 1 \(paris\): gone.test does not resolve"
    ):
        refuse_unfit_helo_names(settings, egresses, ["small-00", "google"])
