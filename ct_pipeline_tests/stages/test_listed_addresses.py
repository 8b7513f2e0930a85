"""Addresses on the operator's lists: judged, never asked, and asked again once they are off the lists."""

from collections.abc import Iterator

import pytest

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.sandbox.population import Mailbox, MailDomain
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.check import check_addresses
from ct_pipeline.stages.judge import judge_unjudged
from ct_pipeline.stages.verify import verify_lanes
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.verdicts.verdict import Verdict
from ct_pipeline.vocabulary import BounceType, Reason, SafeToSend, Status

FRIEND, FOE, NEIGHBOUR, STRANGER = "ghost@shop.test", "anna@rival.test", "bob@mail.rival.test", "cid@shop.test"
EVERYONE = [FRIEND, FOE, NEIGHBOUR, STRANGER]
LANES = lane_keys(load_providers())


@pytest.fixture(scope="module")
def lab() -> Iterator[Sandbox]:
    sandbox = Sandbox(
        domains=[MailDomain("shop.test"), MailDomain("rival.test"), MailDomain("mail.rival.test")],
        population=[Mailbox(FOE), Mailbox(NEIGHBOUR), Mailbox(STRANGER)],
        smtp_port=0,
        dns_address="127.77.0.9",
        dns_port=0,
    )
    with sandbox.run_in_thread():
        yield sandbox


@pytest.fixture
def settings(settings_for_tests: Settings, lab: Sandbox) -> Settings:
    own = settings_for_tests
    named = {name.removeprefix("CT_").lower(): value for name, value in lab.environment.items()}
    return load_settings(**{**named, "state_dir": own.state_dir, "database_url": own.database_url})


def with_lists(settings: Settings, allow: str = "", block: str = "") -> Settings:
    paths = {}
    for name, text in (("allow_list", allow), ("block_list", block)):
        paths[name] = settings.state_dir / f"{name}.txt"
        paths[name].write_text(text)
    return settings.model_copy(update=paths)


def verdicts(settings: Settings) -> dict[str, Verdict]:
    return {one.address: one.verdict for one in check_addresses(settings, EVERYONE) if one.verdict is not None}


def asked(settings: Settings) -> set[str]:
    with open_ledger(settings) as conn:
        rows = conn.execute(
            "select distinct address from ledger.probes join ledger.addresses using (address_id) where kind = 'mailbox'"
        ).fetchall()
    return {address for (address,) in rows}


def test_what_is_listed_is_judged_by_the_list_and_never_asked(settings: Settings) -> None:
    listed = with_lists(settings, allow=FRIEND, block="*.rival.test\nrival.test")
    found = verdicts(listed)
    assert asked(settings) == {STRANGER}
    assert {address: (v.status, v.reason) for address, v in found.items()} == {
        FRIEND: (Status.VALID, Reason.ALLOW_LISTED),
        FOE: (Status.INVALID, Reason.BLOCK_LISTED),
        NEIGHBOUR: (Status.INVALID, Reason.BLOCK_LISTED),
        STRANGER: (Status.VALID, Reason.ACCEPTED),
    }
    assert [found[one].clearout_code for one in (FRIEND, FOE)] == [601, 604]
    assert [found[one].safe_to_send for one in (FRIEND, FOE)] == [SafeToSend.YES, SafeToSend.NO]
    assert found[FOE].bounce_type is BounceType.NONE
    assert all(found[one].next_check_at is None for one in (FRIEND, FOE, NEIGHBOUR))


def test_the_run_tells_how_many_were_listed(settings: Settings) -> None:
    verdicts(with_lists(settings, block=f"{FOE}\n{FRIEND}"))
    with open_ledger(settings) as conn:
        conn.execute("update ledger.due set next_attempt_at = now()")
    summaries = verify_lanes(with_lists(settings, block=f"{FOE}\n{FRIEND}"), LANES)
    assert sum(summary.listed_count for summary in summaries) == 2
    assert sum(summary.not_asked_count for summary in summaries) == 0
    assert FOE not in asked(settings)


@pytest.mark.parametrize("is_judged_first", [True, False])
def test_what_is_no_longer_listed_is_asked(settings: Settings, is_judged_first: bool) -> None:
    verdicts(with_lists(settings, block="rival.test"))
    delisted = with_lists(settings, block="mail.rival.test")
    if is_judged_first:
        judge_unjudged(delisted)
    verify_lanes(delisted, LANES)
    assert asked(settings) == {FOE, STRANGER, FRIEND, NEIGHBOUR}
    judge_unjudged(delisted)
    found = verdicts(delisted)
    assert (found[FOE].status, found[FOE].reason) == (Status.VALID, Reason.ACCEPTED)
    assert found[NEIGHBOUR].reason is Reason.BLOCK_LISTED


def test_what_was_listed_only_while_it_was_due_is_asked(settings: Settings) -> None:
    """The list went before the judge came: no verdict ever told of it."""
    verdicts(with_lists(settings))
    with open_ledger(settings) as conn:
        conn.execute("delete from ledger.verdicts")
        conn.execute("update ledger.due set next_attempt_at = now(), probe_id = null, definitive_probe_id = null")
        conn.execute("delete from ledger.probes")
    verify_lanes(with_lists(settings, block="rival.test"), LANES)
    judge_unjudged(with_lists(settings))
    assert FOE not in asked(settings)
    verify_lanes(with_lists(settings), LANES)
    assert FOE in asked(settings)


def test_nothing_is_asked_twice_while_the_judge_is_late(settings: Settings) -> None:
    verdicts(with_lists(settings, block="rival.test"))
    for _ in range(2):
        verify_lanes(with_lists(settings), LANES)
    with open_ledger(settings) as conn:
        (count,) = conn.execute(
            "select count(*) from ledger.probes join ledger.addresses using (address_id) where address = %s", (FOE,)
        ).fetchone() or (0,)
    assert count == 1


def test_a_bad_list_stops_the_run_before_anyone_is_asked(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"CT_BLOCK_LIST: .*block_list\.txt, line 2"):
        verify_lanes(with_lists(settings, block="rival.test\nnot one"), LANES)
