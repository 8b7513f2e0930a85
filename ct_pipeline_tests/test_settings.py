"""Settings from the environment: what is read, what is refused, and what is never repeated."""

from datetime import date

import pytest

from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.vocabulary import ExportAction, ExportMode, Reason, Region


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CT_{name.upper()}", raising=False)


def test_a_project_is_connected_with_three_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CT_PROJECT_ID", " TEST-ABC-123-4XYZ ")
    monkeypatch.setenv("CT_PASSCODE", "SECRET-WORD")
    monkeypatch.setenv("CT_REGION", "in1")
    settings = load_settings()
    assert (settings.project_id, settings.region) == ("TEST-ABC-123-4XYZ", Region.INDIA)
    assert settings.passcode is not None
    assert settings.passcode.get_secret_value() == "SECRET-WORD"
    assert "SECRET-WORD" not in repr(settings)
    assert "SECRET-WORD" not in str(settings.model_dump())


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("eu1", Region.EUROPE),
        ("SG1", Region.SINGAPORE),
        ("https://us1.dashboard.clevertap.com", Region.UNITED_STATES),
        ("https://aps3.dashboard.clevertap.com/ABC-123-4XYZ/boards?x=1", Region.INDONESIA),
        ("mec1.dashboard.clevertap.com/login.html", Region.MIDDLE_EAST),
        (" sk1 ", Region.SOUTH_KOREA),
    ],
)
def test_the_region_is_a_code_or_read_off_the_dashboards_address(
    monkeypatch: pytest.MonkeyPatch, text: str, region: Region
) -> None:
    monkeypatch.setenv("CT_REGION", text)
    assert load_settings().region is region


@pytest.mark.parametrize(
    ("variable", "value", "mend"),
    [
        ("CT_REGION", "us", "must be one of eu1, in1, us1"),
        ("CT_REGION", "https://dashboard.clevertap.com", "or the address of the project's dashboard"),
        ("CT_PROJECT_ID", "ABC 123", "must be a Project ID"),
        ("CT_BASE_URL", "127.0.0.1:8080", "must be https://host"),
        ("CT_BASE_URL", "https://user:word@api.clevertap.com", "must be https://host"),
        ("CT_BASE_URL", "https://api.clevertap.com/1/", "without a path"),
        ("CT_TIMEZONE", "Mars/Olympus", "IANA"),
        ("CT_TIMEZONE", "../etc/passwd", "IANA"),
        ("CT_FIRST_DAY", "yesterday", "date"),
        ("CT_EXPORT_MODE", "yes", "'preview' or 'apply'"),
        ("CT_EXPORT_ACTIONS", "unsubscribe,delete", "'unsubscribe' or 'append'"),
        ("CT_UNSUBSCRIBE_REASONS", "mailbox_not_found,ugly", "ugly"),
        ("CT_READ_CONCURRENCY", "4", "1 to 3"),
        ("CT_UPLOAD_CONCURRENCY", "16", "1 to 15"),
        ("CT_PAGE_SIZE", "5001", "1 to 5,000"),
        ("CT_UNSUBSCRIBE_SHARE_LIMIT", "10", "0 to 1"),
    ],
)
def test_a_value_that_does_not_fit_names_the_variable_and_the_mend(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, mend: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable}") as refused:
        load_settings()
    assert mend in str(refused.value)


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CT_EXPORT_ACTIONS", " append ")
    monkeypatch.setenv("CT_UNSUBSCRIBE_REASONS", "mailbox_not_found, mailbox_disabled")
    monkeypatch.setenv("CT_APPEND_COLUMNS", "status,provider,")
    monkeypatch.setenv("CT_FIRST_DAY", "2025-02-28")
    settings = load_settings()
    assert settings.export_actions == (ExportAction.APPEND,)
    assert settings.unsubscribe_reasons == (Reason.MAILBOX_NOT_FOUND, Reason.MAILBOX_DISABLED)
    assert settings.append_columns == ("status", "provider")
    assert settings.first_day == date(2025, 2, 28)


def test_nothing_is_sent_unless_someone_says_so() -> None:
    assert load_settings().export_mode is ExportMode.PREVIEW
