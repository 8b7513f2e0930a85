"""``ct-pipeline check`` answers "why?": facts, sessions, replies, the deciding rule, and what comes next."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ct_pipeline.cli.explanation import PROBE_LABELS
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline.verification.questions import random_name
from ct_pipeline_tests.cli.conftest import CommandLine

TIME = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"
LABEL = re.compile(r"  (.{12}) (.*)")


def rows(shown: str) -> list[tuple[str, str]]:
    """The rows of one explanation: label and text; what stands below a label's row has none."""
    found = [LABEL.fullmatch(line.rstrip()) for line in shown.splitlines()[2:]]
    return [(match[1].strip(), match[2]) for match in found if match]


def row(shown: str, label: str) -> str:
    """The first row of that label."""
    return next(text for name, text in rows(shown) if name == label)


def objects(shown: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown.splitlines()]


def execute(cli: CommandLine, statement: str, *parameters: object) -> None:
    with psycopg.connect(cli.environment["CT_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(statement, parameters)  # pyright: ignore[reportArgumentType]


WITH_A_TRAIL = (
    "nobody@shop.test", "anyone@all.test", "ct-sandbox-0001@outlook.com", "ann@block.test", "ann@dead.test",
)  # fmt: skip


@pytest.fixture(scope="module")
def shown(module_cli: CommandLine) -> dict[str, str]:
    """What is shown of each of them, asked for the first time."""
    blocks = module_cli("check", *WITH_A_TRAIL).stdout.strip().split("\n\n")
    return dict(zip(WITH_A_TRAIL, blocks, strict=True))


def test_every_kind_of_question_has_a_label() -> None:
    assert set(PROBE_LABELS) == {kind.value for kind in ProbeKind}


def test_a_refusal_with_its_session_its_reply_and_both_halves_of_the_rule(shown: dict[str, str]) -> None:
    told = shown["nobody@shop.test"]
    told_rows = rows(told)
    (judged, rule), (_, meaning), *_ = told_rows
    assert judged == "rule"
    assert re.fullmatch(
        r"mailbox_refused/\w+: its host refuses the address for good \(5xx\), in words that speak of the mailbox", rule
    )
    reply_rule = rule.partition("/")[2].partition(":")[0]
    assert meaning.startswith(
        f"{reply_rule}: such a reply means mailbox_not_found, about the address; source: RFC 3463"
    )
    assert re.fullmatch(r"mx\.shop\.test \(127\.77\.\d+\.\d+\)", row(told, "mail hosts"))
    assert re.fullmatch(rf"{TIME}, mx, good until {TIME}", row(told, "looked up"))
    assert row(told, "provider") == "shop.test (lane small-45), a small site without a row of its own"
    assert re.fullmatch(
        rf"{TIME} at mx\.shop\.test \[127\.77\.\d+\.\d+\] without TLS; session done; this decided", row(told, "asked")
    )
    assert (
        "",
        "egress default: HELO prober.ct-sandbox.test, MAIL FROM <probe@ct-sandbox.test>, from the address that the "
        "system chooses",
    ) in told_rows
    assert re.fullmatch(r"550 5\.1\.1 <nobody@shop\.test>: .* \(at rcpt after \d+ ms\)", row(told, "reply"))
    assert row(told, "read as") == f"mailbox_not_found, about the address, by {reply_rule}"


def test_the_catch_all_fact_with_the_made_up_name_and_its_reply(shown: dict[str, str]) -> None:
    told = shown["anyone@all.test"]
    name = f"{random_name('all.test')}@all.test"
    assert re.fullmatch(
        rf"yes, it accepts made-up names; found {TIME} by 250 to {name}, good until {TIME}", row(told, "catch-all")
    )
    assert row(told, "made-up name").startswith(f"{name}, ")
    assert row(told, "made-up name").endswith("this decided")
    assert not row(told, "asked").endswith("this decided")


def test_a_provider_with_what_its_row_says_and_where_that_comes_from(shown: dict[str, str]) -> None:
    told = shown["ct-sandbox-0001@outlook.com"]
    assert row(told, "provider").startswith("outlook (lane outlook): Outlook.com, Hotmail, Live, MSN")
    assert any(text.startswith("asking is forbidden; source: ") for _, text in rows(told))
    assert row(told, "flags").startswith("free (providers.toml, outlook: ")


def test_a_breaker_with_the_words_of_the_site_and_what_to_do(shown: dict[str, str]) -> None:
    told = shown["ann@block.test"]
    assert re.fullmatch(rf"open since {TIME}, until {TIME}: it blocks our address", row(told, "breaker"))
    assert any(text.startswith("in its words: ") and "blocked using" in text for _, text in rows(told))
    assert any("`ct-pipeline doctor` tells" in text for _, text in rows(told))


def test_a_host_that_cannot_be_reached_is_told_once(shown: dict[str, str]) -> None:
    told = shown["ann@dead.test"]
    assert [label for label, _ in rows(told)].count("session") == 1
    assert row(told, "session").endswith("session unreachable; this decided")
    assert row(told, "ask again").endswith(
        "the wait after attempt 1 of 6 with this answer is 15 min, up to a tenth longer"
    )


def test_an_address_of_a_list_is_explained_without_asking_anyone(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("email\nann@shop.test\nann shop\n")
    assert cli("verify", tmp_path / "list.csv", "-o", tmp_path / "out.csv").exit_code == 0
    asked = len(cli.asked())

    result = cli("check", "--no-ask", "ann@shop.test", "ann shop")

    assert result.exit_code == 0
    assert "ann@shop.test  valid · accepted" in result.stdout
    assert re.search(rf"held by      list\.csv \({TIME}\)", result.stdout)
    assert "ann shop  invalid · syntax_error" in result.stdout
    assert "syntax: the text is no email address, so nobody had to be asked" in result.stdout
    assert len(cli.asked()) == asked


def test_what_was_never_met_is_not_taken_in_by_the_question(cli: CommandLine) -> None:
    for _ in range(2):
        result = cli("check", "--offline", "ann@shop.test", "ann shop")
        assert result.exit_code == 3
        assert "ann@shop.test  not in the ledger" in result.stdout
        assert "ann shop  not in the ledger" in result.stdout
        assert "it is no email address (syntax_error)" in result.stdout
    assert "valid · accepted" in cli("check", "ann@shop.test").stdout


def test_one_that_waits_for_its_first_turn_is_explained(cli: CommandLine) -> None:
    cli("check", "ann@shop.test")
    execute(
        cli, "update ledger.due set next_attempt_at = now(), answered_at = null, attempt_count = 0, probe_id = null"
    )
    execute(cli, "delete from ledger.probes")
    shown = cli("check", "--no-ask", "ann@shop.test").stdout
    assert "unknown · not_asked_yet" in shown
    assert row(shown, "ask again").endswith("its turn has come: the next run asks it")


def test_a_verdict_of_other_rules_says_what_it_was(cli: CommandLine) -> None:
    cli("check", "nobody@shop.test")
    execute(cli, "update ledger.verdicts set status = 'unknown', reason = 'unclear_reply', rules_version = 'old'")
    execute(cli, "update ledger.probes set reason = 'unclear_reply', rule = 'no_rule_fits'")
    shown = cli("check", "--no-ask", "nobody@shop.test").stdout
    assert re.fullmatch(
        rf"unknown · unclear_reply, judged {TIME} by mailbox_refused/\w+ \(rules old\)",
        row(shown, "before"),
    )
    assert row(shown, "read as").startswith("mailbox_not_found, about the address, by ")
    assert row(shown, "read as").endswith("(then: unclear_reply, by no_rule_fits)")
    assert "before" not in dict(rows(cli("check", "--no-ask", "nobody@shop.test").stdout))


def test_words_of_a_host_can_neither_colour_nor_flood_the_screen(cli: CommandLine) -> None:
    cli("check", "nobody@shop.test")
    execute(cli, "update ledger.probes set text = %s", "[red]\x1b[31mUser\u202e unknown\x07\n" + "x" * 900)
    shown = cli("check", "--no-ask", "nobody@shop.test").stdout
    whole = cli("check", "--no-ask", "--json", "nobody@shop.test").stdout
    for text in (shown, whole):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
        assert "[red] [31mUser  unknown" in text
    unwrapped = " ".join(text for _, text in rows(shown))
    assert re.search(r"x… \(\d+ characters more\)", unwrapped)
    assert shown.count("x") < 900
    assert "x" * 900 in whole


# -- once more ---


def test_a_fresh_answer_is_asked_for_again_when_that_is_wanted(cli: CommandLine) -> None:
    cli("check", "ann@shop.test", "full@shop.test")
    before = cli.asked("shop.test")
    shown = cli("check", "--again", "ann@shop.test", "full@shop.test").stdout
    assert sorted(cli.asked("shop.test")) == sorted([*before, "ann@shop.test", "full@shop.test"])
    ann, full = shown.split("\n\n")[:2]
    assert row(ann, "again") == "its turn was brought forward by --again"
    assert [label for label, _ in rows(ann)].count("asked") == 2
    assert "attempt 2 of 4" in row(full, "ask again")
    assert "again" not in dict(rows(cli("check", "ann@shop.test").stdout))


def test_what_answers_for_an_address_is_asked_again_but_never_who_must_not_be(module_cli: CommandLine) -> None:
    addresses = ["anyone@all.test", "ann@block.test", "ct-sandbox-0001@outlook.com"]
    module_cli("check", *addresses)
    asked = module_cli.asked("block.test"), module_cli.asked("outlook.com")
    catch_all, blocked, forbidden = module_cli("check", "--again", *addresses).stdout.strip().split("\n\n")
    assert (module_cli.asked("block.test"), module_cli.asked("outlook.com")) == asked
    assert [label for label, _ in rows(catch_all)].count("made-up name") == 2
    assert row(blocked, "not asked") == "its site is left alone: it blocks our address"
    assert "unknown · provider_forbids_probing" in forbidden


def test_asking_again_and_not_asking_exclude_each_other(cli: CommandLine) -> None:
    result = cli("check", "--again", "--no-ask", "ann@shop.test")
    assert result.exit_code == 2
    assert "excludes --no-ask" in result.stderr


# -- for scripts ---


def test_an_object_a_line_with_everything_that_is_shown(cli: CommandLine) -> None:
    given = ["Ann <ANN@shop.test>", "ann@block.test", "anyone@all.test", "ann@gone.test", "ann shop", "ann@shop.test"]
    result = cli("check", "--json", *given)
    assert result.exit_code == 0
    found = objects(result.stdout)
    assert [one["given"] for one in found] == given
    ann, blocked, catch_all, gone, unusable, again = found
    assert ann | {"given": ""} == again | {"given": ""}

    assert (ann["email"], ann["verdict"]["status"], ann["verdict"]["reason"]) == ("ann@shop.test", "valid", "accepted")
    assert ann["deciding"]["reply_rule"] == ann["probes"][0]["read_today"]["rule"]
    assert ann["deciding"]["source"].startswith("RFC 5321")
    (probe,) = ann["probes"]
    assert (probe["code"], probe["stage"], probe["is_deciding"]) == (250, "rcpt", True)
    assert probe["session"]["mx_host"] == "mx.shop.test"
    assert datetime.fromisoformat(probe["asked_at"]) == datetime.fromisoformat(ann["verdict"]["verified_at"])
    assert ann["catch_all"]["is_catch_all"] is False
    assert ann["next_check"]["at"] is None

    assert blocked["breaker"]["reason"] == "prober_blocked"
    assert blocked["next_check"]["attempt_limit"] == 4
    assert [one["is_deciding"] for one in catch_all["domain_probes"]] == [True]
    assert (gone["domain"]["service"], gone["probes"]) == ("domain_not_found", [])
    assert (unusable["syntax_reason"], unusable["domain"]) == ("syntax_error", None)


def test_every_object_has_the_same_fields(cli: CommandLine) -> None:
    result = cli("check", "--json", "--no-ask", "who@shop.test")
    assert result.exit_code == 3
    (unknown,) = objects(result.stdout)
    assert (unknown["is_in_ledger"], unknown["verdict"]) == (False, None)
    (known,) = objects(cli("check", "--json", "who@shop.test").stdout)
    assert list(known) == list(unknown)
