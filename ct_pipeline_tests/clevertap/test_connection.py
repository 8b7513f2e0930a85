"""From settings to a connection: what is missing is named, and nothing secret travels in the clear."""

import pytest

from ct_pipeline.clevertap.connection import connection_of
from ct_pipeline.clevertap.regions import api_address
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import load_settings
from ct_pipeline.vocabulary import Region


def connection_address(**given: object) -> str:
    complete: dict[str, object] = {"project_id": "ABC-123-4XYZ", "passcode": "AAA-BBB-CCC", "region": "in1"}
    return connection_of(load_settings(**(complete | given))).address


@pytest.mark.parametrize(
    ("region", "address"),
    [
        (None, "https://api.clevertap.com"),
        (Region.EUROPE, "https://api.clevertap.com"),
        (Region.INDIA, "https://in1.api.clevertap.com"),
        (Region.UNITED_STATES, "https://us1.api.clevertap.com"),
        (Region.SINGAPORE, "https://sg1.api.clevertap.com"),
        (Region.INDONESIA, "https://aps3.api.clevertap.com"),
        (Region.MIDDLE_EAST, "https://mec1.api.clevertap.com"),
        (Region.SOUTH_KOREA, "https://sk1.api.clevertap.com"),
    ],
)
def test_every_region_has_its_host(region: Region | None, address: str) -> None:
    assert api_address(region) == address
    assert api_address(region, "http://127.0.0.1:8080/") == "http://127.0.0.1:8080"


def test_the_region_can_be_the_address_of_the_dashboard() -> None:
    assert connection_address(region="https://sg1.dashboard.clevertap.com/ABC/x") == "https://sg1.api.clevertap.com"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"project_id": ""}, {"CT_PROJECT_ID"}),
        ({"passcode": None}, {"CT_PASSCODE"}),
        ({"passcode": "  "}, {"CT_PASSCODE"}),
        ({"region": None}, {"CT_REGION"}),
        ({"project_id": "", "passcode": None, "region": None}, {"CT_PROJECT_ID", "CT_PASSCODE", "CT_REGION"}),
    ],
)
def test_what_is_missing_is_named(given: dict[str, object], named: set[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        connection_address(**given)
    assert {
        name for name in ("CT_PROJECT_ID", "CT_PASSCODE", "CT_REGION") if f"{name} is" in str(caught.value)
    } == named


@pytest.mark.parametrize("passcode", ["AAA BBB", "AAA\nX-Evil: 1", "AAA\x00", "Ä-B", "x" * 201])
def test_a_passcode_that_cannot_be_one_is_refused_without_being_shown(passcode: str) -> None:
    with pytest.raises(SettingsError, match="CT_PASSCODE holds characters") as caught:
        connection_address(passcode=passcode)
    assert passcode not in str(caught.value)
    assert connection_address(passcode=" AAA-BBB\n") == "https://in1.api.clevertap.com"


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8080", "http://[::1]:80", "http://localhost:1", "http://sandbox:80"]
)
def test_the_sandbox_is_reached_without_tls(address: str) -> None:
    assert connection_address(base_url=address, region=None) == address


@pytest.mark.parametrize(
    "address", ["http://api.clevertap.com", "http://192.0.2.1:80", "http://10.0.0.1", "http://0.0.0.0"]
)
def test_no_passcode_travels_in_the_clear(address: str) -> None:
    with pytest.raises(SettingsError, match="unencrypted"):
        connection_address(base_url=address)
    assert connection_address(base_url=address.replace("http:", "https:")).startswith("https://")
