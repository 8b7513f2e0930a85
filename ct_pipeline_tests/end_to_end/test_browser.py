"""The Dagster UI in a real browser: the lineage, an asset and a backfill of all lanes, started by mouse.

Screenshots go to the folder of CT_SCREENSHOTS, or to the test's own.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ct_pipeline.orchestration.instance import dagster_instance
from ct_pipeline.orchestration.job_runs import JobRuns
from ct_pipeline.orchestration.partitions import lanes
from ct_pipeline.orchestration.serve import serve
from ct_pipeline.sandbox.behaviours import MailboxBehaviour
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.sandbox.population import Mailbox
from ct_pipeline.settings import Settings
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.verdicts import verdict_counts
from ct_pipeline.vocabulary import Status
from ct_pipeline_tests.end_to_end.browser import browser_page, free_port, screenshot_folder

CONTACT_FILE = "people.csv"
PEOPLE = [
    Mailbox("anna@acme.test"),
    Mailbox("bert@acme.test", MailboxBehaviour.MISSING),
    Mailbox("carla@toys.test"),
]


def test_lanes_and_verdicts_are_materialized_by_mouse(
    page: Page, ui: str, screenshots: Path, sandboxed_settings: Settings
) -> None:
    page.goto(f"{ui}/asset-groups")
    expect(page.get_by_text("1_intake").first).to_be_visible()
    page.keyboard.press("Alt+e")  # opens every group
    expect(page.get_by_text("email_verdicts").first).to_be_visible()
    page.wait_for_timeout(2000)  # the nodes move to their places
    page.screenshot(path=screenshots / "lineage.png")

    page.goto(f"{ui}/assets/mailbox_probes")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="Confirm").click()  # catch_all_facts come along
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Launch backfill").click()
    expect(page.get_by_text("Created backfill")).to_be_visible()
    page.goto(f"{ui}/runs")
    # The innermost element that holds both what was started and by whom is the row.
    rows = page.locator("div", has=page.get_by_text(f"{len(lanes.get_partition_keys())} partitions"))
    expect(rows.filter(has_text="Manually launched").last).to_contain_text("Success")
    page.screenshot(path=screenshots / "backfill.png")

    page.goto(f"{ui}/assets/mailbox_probes?view=partitions")
    expect(page.get_by_text("Missing (0)")).to_be_visible()
    expect(page.get_by_text("Failed (0)")).to_be_visible()
    page.screenshot(path=screenshots / "lanes.png")

    page.goto(f"{ui}/assets/email_verdicts")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("link", name="View", exact=True).click()  # of the run, in the message that it was launched
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    page.screenshot(path=screenshots / "verdicts.png")

    with open_ledger(sandboxed_settings) as ledger:
        assert verdict_counts(ledger) == {Status.VALID: 2, Status.INVALID: 1, Status.CATCH_ALL: 0, Status.UNKNOWN: 0}


@pytest.fixture
def page(ui: str) -> Iterator[Page]:
    with browser_page() as page:
        yield page


@pytest.fixture
def ui(sandboxed_settings: Settings) -> Iterator[str]:
    """The URL of the UI of a deployment that has taken in one contact file and asked nobody yet."""
    inbox = sandboxed_settings.inbox_dir
    inbox.mkdir(parents=True)
    (inbox / CONTACT_FILE).write_text("email\n" + "".join(f"{mailbox.address}\n" for mailbox in PEOPLE))
    with dagster_instance(sandboxed_settings) as instance:
        JobRuns(instance).intake(CONTACT_FILE)
    with serve(sandboxed_settings, "127.0.0.1", free_port()) as server:
        yield server.url


@pytest.fixture
def sandboxed_settings(settings_for_tests: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings in the environment too, for the processes of the server, with a sandbox around."""
    assert settings_for_tests.database_url is not None
    monkeypatch.setenv("CT_STATE_DIR", str(settings_for_tests.state_dir))
    monkeypatch.setenv("CT_DATABASE_URL", settings_for_tests.database_url.get_secret_value())
    with Sandbox(population=PEOPLE, smtp_port=0, dns_port=0).run_in_thread() as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield settings_for_tests


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    return screenshot_folder(tmp_path)
