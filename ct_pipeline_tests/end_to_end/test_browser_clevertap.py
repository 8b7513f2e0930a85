"""The round trip with CleverTap by mouse: pull everyone, look at the plan, approve what is held, push.

The account and the mail hosts are the sandbox's. Screenshots go to the folder of CT_SCREENSHOTS, or to the test's own.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ct_pipeline.orchestration.instance import dagster_instance
from ct_pipeline.orchestration.job_runs import JobRuns
from ct_pipeline.orchestration.serve import serve
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline_tests.end_to_end.browser import browser_page, free_port, screenshot_folder
from ct_pipeline_tests.orchestration.clevertap_world import opted_out, properties, small_sandbox, write_count


def test_a_held_batch_is_approved_and_pushed_by_mouse(page: Page, ui: str, sandbox: Sandbox, screenshots: Path) -> None:
    page.goto(f"{ui}/assets/audience_profiles?view=partitions")
    expect(page.get_by_text("everyone").first).to_be_visible()  # without anybody having typed it
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Launch").last.click()
    page.goto(f"{ui}/runs")
    expect(page.get_by_text("Success").first).to_be_visible()

    page.goto(f"{ui}/assets/export_batches")
    expect(page.get_by_text("unsubscribe_reasons")).to_be_visible()
    expect(page.get_by_text("Held: batch 1")).to_be_visible()
    expect(page.get_by_text("unsubscribed within 7 days")).to_be_visible()
    page.screenshot(path=screenshots / "export_batches.png")
    page.goto(f"{ui}/asset-groups")
    page.get_by_text("5_export").first.wait_for()
    page.keyboard.press("Alt+e")  # opens every group
    expect(page.get_by_text("export_batches").first).to_be_visible()
    page.wait_for_timeout(2000)  # the nodes move to their places
    page.screenshot(path=screenshots / "lineage_clevertap.png")

    _launch(page, f"{ui}/locations/ct_pipeline/jobs/push/playground", {"apply: null": "apply: true"})
    assert write_count(sandbox, "/1/subscribe") == 0
    assert properties(sandbox, "anna@acme.test")["EV Safe To Send"] == "yes"

    blanks = {"batch_ids: []": "batch_ids: [1]", "by: ''": "by: Ada", "because: ''": "because: looked at"}
    _launch(page, f"{ui}/locations/ct_pipeline/jobs/approve_batches/playground", blanks)
    _launch(page, f"{ui}/locations/ct_pipeline/jobs/push/playground", {"apply: null": "apply: true"})
    assert opted_out(sandbox) == {"bert@acme.test", "carl@acme.test"}
    page.goto(f"{ui}/assets/clevertap_unsubscribes")
    expect(page.get_by_text("approved by Ada: looked at")).to_be_visible()
    expect(page.get_by_text("2 processed")).to_be_visible()
    page.screenshot(path=screenshots / "clevertap_unsubscribes.png")


def _launch(page: Page, launchpad: str, changes: dict[str, str]) -> None:
    """Change what the launchpad of a job opens with, unless it remembers; launch, and wait for the success."""
    page.goto(launchpad)
    editor = page.locator(".CodeMirror").first
    expect(editor).to_contain_text("config:")
    text: str = editor.evaluate("element => element.CodeMirror.getValue()")
    for before, after in changes.items():
        text = text.replace(before, after)
        assert after in text, text
    editor.evaluate("(element, text) => element.CodeMirror.setValue(text)", text)
    page.get_by_role("button", name="Launch Run").click()
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()


@pytest.fixture
def page(ui: str) -> Iterator[Page]:
    with browser_page() as page:
        yield page


@pytest.fixture
def ui(settings_for_tests: Settings, sandbox: Sandbox) -> Iterator[str]:
    """The URL of the UI of a deployment that has pulled, asked and judged everybody, and planned the export."""
    with dagster_instance(settings_for_tests) as instance:
        runs = JobRuns(instance)
        runs.pull_audience("everyone")
        runs.verify()
        runs.judge()
        runs.plan()
        instance.delete_dynamic_partition("audiences", "everyone")
    with serve(load_settings(), "127.0.0.1", free_port()) as server:
        yield server.url


@pytest.fixture
def sandbox(settings_for_tests: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The account and the mail hosts, named by the environment for the processes of the server too."""
    assert settings_for_tests.database_url is not None
    monkeypatch.setenv("CT_STATE_DIR", str(settings_for_tests.state_dir))
    monkeypatch.setenv("CT_DATABASE_URL", settings_for_tests.database_url.get_secret_value())
    monkeypatch.setenv("CT_READ_BACK_SECONDS", "5")
    with small_sandbox().run_in_thread() as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield sandbox


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    return screenshot_folder(tmp_path)
