"""``ct-pipeline pull``: profiles in, what is said of them, and what comes next."""

from collections.abc import Iterator

import pytest

from ct_pipeline.sandbox.clevertap.profiles import AccountProfile
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline_tests.cli.conftest import CommandLine

PEOPLE = [
    AccountProfile("cust-1", "ann@shop.test"),
    AccountProfile("cust-2", " Ann@Shop.test"),
    AccountProfile("cust-3", "no@"),
    AccountProfile(None, "info@shop.test"),
]


@pytest.fixture(scope="module")
def clevertap() -> Iterator[CleverTapSimulator]:
    with CleverTapSimulator(PEOPLE).run_in_thread() as simulator:
        yield simulator


@pytest.fixture
def pipeline(cli: CommandLine, clevertap: CleverTapSimulator) -> CommandLine:
    return CommandLine(cli.environment | clevertap.environment, cli.log_path)


def test_everyone_is_pulled_and_taken_up(pipeline: CommandLine, clevertap: CleverTapSimulator) -> None:
    clevertap.opt_out(identity="cust-1")
    result = pipeline("pull")
    assert result.exit_code == 0, result.output
    said = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert said == [
        f"Pulled everyone of project {clevertap.account.access.project_id}.",
        f"profiles 4 in {said[1].split()[3]} pages",
        "with an email 4",
        "new addresses 3; of all, 1 cannot be addresses",
        "opt-outs and returns 1 event",
        "Next: ct-pipeline verify asks about the addresses that are due; ct-pipeline plan shows what follows.",
    ]
    verified = pipeline("verify")
    assert verified.exit_code == 0, verified.output
    assert {"ann@shop.test", "info@shop.test"} <= set(pipeline.asked())


def test_a_day_is_pulled_by_its_date(pipeline: CommandLine) -> None:
    result = pipeline("pull", "--day", "2026-01-05")
    assert result.exit_code == 0, result.output
    assert "Pulled daily 2026-01-05 of project" in result.stdout
    assert "0 in 3 pages; CleverTap counts 0" in result.stdout


def test_what_cannot_be_pulled_is_said_plainly(pipeline: CommandLine) -> None:
    for arguments, said in (
        (("--audience", "nobody"), "There is no audience 'nobody', only everyone"),
        (("--day", "2999-01-01"), "has not begun yet"),
    ):
        result = pipeline("pull", *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr
    assert pipeline("pull", "--day", "2026-01-05", "--audience", "x").exit_code == 2
    assert pipeline("pull", "--day", "yesterday").exit_code == 2


def test_without_a_connection_the_settings_are_named(cli: CommandLine) -> None:
    result = cli("pull")
    assert result.exit_code == 1
    assert all(name in result.stderr for name in ("CT_PROJECT_ID", "CT_PASSCODE", "CT_REGION"))


def test_a_wrong_passcode_says_what_to_mend_and_does_not_repeat_it(pipeline: CommandLine) -> None:
    result = pipeline("pull", CT_PASSCODE="WRONG-PASS-CODE")
    assert result.exit_code == 1
    assert "CT_PASSCODE" in result.stderr
    assert "WRONG-PASS-CODE" not in result.output
