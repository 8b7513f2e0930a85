"""The verifier with several egresses, on a sandbox: who asks whom, what is left to others, what our trouble costs."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.sandbox.population import Mailbox, MailDomain
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages import lane_worker
from ct_pipeline.stages.check import check_addresses
from ct_pipeline.stages.verify import verify_lanes
from ct_pipeline.storage.due import lanes_due
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.verdicts.verdict import Verdict

LANES = lane_keys(load_providers())
GOOGLE, SMALL, OTHER = "anna@big.test", "bob@shop.test", "cid@shop.test"
PARIS = '[[egress]]\nname = "paris"\nlanes = ["google"]\n'
DELHI = """
[[egress]]
name = "delhi"
helo_name = "second.ct-sandbox.test"
mail_from = "second@ct-sandbox.test"
source_address = "127.0.0.2"
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Sandbox]:
    sandbox = Sandbox(
        domains=[MailDomain("big.test", mail_hosts=("aspmx.l.google.com",)), MailDomain("shop.test")],
        population=[Mailbox(GOOGLE), Mailbox(SMALL), Mailbox(OTHER)],
        records={
            "second.ct-sandbox.test": ["A 127.0.0.2"],
            "2.0.0.127.in-addr.arpa": ["PTR second.ct-sandbox.test."],
        },
        smtp_port=0,
        dns_address="127.77.0.6",
        dns_port=0,
    )
    with sandbox.run_in_thread():
        yield sandbox


@pytest.fixture
def settings(settings_for_tests: Settings, lab: Sandbox) -> Settings:
    return changed(settings_for_tests, lab)


def changed(own: Settings, lab: Sandbox, **more: object) -> Settings:
    named = {name.removeprefix("CT_").lower(): value for name, value in lab.environment.items()}
    return load_settings(**{**named, "state_dir": own.state_dir, "database_url": own.database_url, **more})


def with_file(settings: Settings, lab: Sandbox, text: str = PARIS + DELHI, **more: object) -> Settings:
    path: Path = settings.state_dir / "egresses.toml"
    path.write_text(text)
    return changed(settings, lab, egress_file=path, **more)


def sessions(settings: Settings) -> set[tuple[str, str, str]]:
    with open_ledger(settings) as conn:
        return set(
            conn.execute("select split_part(lane, '-', 1), helo_name, mail_from from ledger.sessions").fetchall()
        )


def verdicts(settings: Settings, *addresses: str) -> list[Verdict]:
    return [one.verdict for one in check_addresses(settings, list(addresses)) if one.verdict is not None]


def test_each_lane_is_asked_from_its_own_egress(settings: Settings, lab: Sandbox) -> None:
    settings = with_file(settings, lab)
    assert [verdict.status for verdict in verdicts(settings, GOOGLE, SMALL)] == ["valid", "valid"]
    assert sessions(settings) == {
        ("google", "prober.ct-sandbox.test", "probe@ct-sandbox.test"),
        ("small", "second.ct-sandbox.test", "second@ct-sandbox.test"),
    }


def test_a_lane_of_anothers_egress_is_left_to_it_at_once(settings: Settings, lab: Sandbox) -> None:
    ours = with_file(settings, lab, own_egresses="delhi")
    left, asked = check_addresses(ours, [GOOGLE, SMALL])
    assert asked.verdict is not None
    assert asked.verdict.status == "valid"
    assert left.verdict is not None
    assert left.verdict.reason == "not_asked_yet"
    assert left.left_because == "belongs to egress paris"
    assert {lane for lane, _, _ in sessions(ours)} == {"small"}
    summaries = {summary.lane: summary for summary in verify_lanes(ours, LANES)}
    assert len(summaries) == len(LANES)
    google = summaries["google"]
    assert (google.due_count, google.session_count) == (1, 0)
    assert google.stopped_because == ["belongs to egress paris"]
    theirs = with_file(settings, lab, own_egresses="paris")
    assert [summary.asked_count for summary in verify_lanes(theirs, ["google"])] == [1]


def test_nobody_is_asked_under_a_name_that_does_not_fit(settings: Settings, lab: Sandbox) -> None:
    unfit = with_file(settings, lab, PARIS + DELHI.replace("second.ct-sandbox.test", "gone.test"))
    with pytest.raises(SettingsError, match=r"helo_name in egresses.toml, row 2 \(delhi\): gone.test does not resolve"):
        check_addresses(unfit, [GOOGLE, SMALL])
    assert sessions(unfit) == set()
    assert verdicts(unfit, GOOGLE)[0].status == "valid", "the other egress is not held up by it"


def test_a_proxy_that_is_down_costs_no_attempt_and_is_told(settings: Settings, lab: Sandbox) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        proxied = changed(settings, lab, proxy=f"socks5://someone:s3cret@127.0.0.1:{held.getsockname()[1]}")
        (verdict,) = verdicts(proxied, SMALL)
    assert (verdict.status, verdict.reason, verdict.attempt_count) == ("unknown", "egress_trouble", 0)
    assert verdict.next_check_at is not None
    assert verdict.next_check_at > datetime.now(UTC)
    assert verdict.smtp_text == "our proxy cannot be reached: Connection refused"
    with open_ledger(settings) as conn:
        conn.execute("update ledger.due set next_attempt_at = now(), attempt_count = 9")
        lane = next(iter(lanes_due(conn, datetime.now(UTC))))
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        proxied = changed(settings, lab, proxy=f"socks5://127.0.0.1:{held.getsockname()[1]}")
        summary = verify_lanes(proxied, [lane])[0]
    assert summary.stopped_because == ["egress default cannot connect, see `ct-pipeline doctor`"]
    assert summary.due_count == 1, "nobody is given up for a fault of ours"


def test_a_lane_of_which_nobody_can_be_reached_is_not_gone_through_to_its_end(
    settings: Settings, lab: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_worker, "ADDRESSES_AT_ONCE", 1)
    monkeypatch.setattr(lane_worker, "LANE_ADDRESSES_AT_LEAST", 1)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        proxied = changed(settings, lab, proxy=f"socks5://127.0.0.1:{held.getsockname()[1]}")
        check_addresses(proxied, [SMALL, OTHER])
    with open_ledger(settings) as conn:
        assert conn.execute("select count(*) from ledger.sessions").fetchone() == (1,)
        assert sum(lanes_due(conn, datetime.now(UTC)).values()) == 1, "the other stays due now"
