"""Channel Unsubscribed events: which of them are about e-mail, and what they say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.clevertap.records import Event, Identifier
from ct_pipeline.from_clevertap.profile_rows import SUBSCRIPTION_EVENT_SCHEMA
from ct_pipeline.from_clevertap.subscription_rows import LONGEST_REASON, subscription_rows
from ct_pipeline.vocabulary import IdentifierKind

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def event(email: str | None = "ann@x.test", **properties: object) -> Event:
    named = {name.replace("_", " "): value for name, value in properties.items()}
    return Event(Identifier(IdentifierKind.IDENTITY, "cust-1"), "o1", email, NOON, named)


def row(event: Event) -> dict[str, object] | None:
    frame = subscription_rows([event])
    assert frame.schema == SUBSCRIPTION_EVENT_SCHEMA
    return frame.row(0, named=True) if frame.height else None


def test_an_opt_out_by_a_bounce() -> None:
    found = row(
        event(
            Campaign_ID="17", Campaign_Type="Email", Identity=" Ann@Work.test", Type="Bounced",
            Subscription_Type="Account level", Resubscribed=False, Reason="550 5.1.1 no such user",
        )
    )  # fmt: skip
    assert found == {
        "email": "ann@work.test",  # the address of the event, not that of the profile today
        "happened_at": NOON,
        "identifier_kind": "identity",
        "identifier": "cust-1",
        "is_resubscribe": False,
        "level": "account",
        "type": "bounced",
        "reason": "550 5.1.1 no such user",
    }


@pytest.mark.parametrize("value", [True, "true", "True", "TRUE", 1, "1", "yes"])
def test_a_way_back_in(value: object) -> None:
    found = row(event(resubscribed=value))
    assert found is not None
    assert found["is_resubscribe"] is True


@pytest.mark.parametrize("value", [False, "false", "False", 0, "", None, "no", ["true"], {"true": 1}])
def test_everything_else_is_an_opt_out(value: object) -> None:
    found = row(event(Resubscribed=value))
    assert found is not None
    assert found["is_resubscribe"] is False


def test_the_spelling_of_properties_does_not_matter() -> None:
    found = row(event(None, campaign_TYPE="2", subscriptionType="profile", IDENTITY="ann@x.test"))
    assert found is not None
    assert (found["email"], found["level"]) == ("ann@x.test", "profile")


def test_without_a_named_address_the_profile_s_is_meant() -> None:
    found = row(event(" ANN@x.test "))
    assert found is not None
    assert (found["email"], found["level"], found["type"], found["reason"]) == ("ann@x.test", "", "", "")


@pytest.mark.parametrize(
    "properties",
    [
        {"Campaign_Type": "Push"},
        {"Campaign_Type": "SMS", "Identity": "+4930000000"},
        {"Identity": "+4930000000"},
        {"Identity": 4930000000},
    ],
)
def test_other_channels_are_left_out(properties: dict[str, object]) -> None:
    assert row(event("ann@x.test", **properties)) is None


def test_an_event_that_names_no_address_is_left_out() -> None:
    assert row(event(None)) is None


def test_one_kind_of_mail_is_an_opt_out_but_no_consent() -> None:
    found = row(event(Group="Newsletters", Subscription_Type="profile"))
    assert found is not None
    assert found["level"] == "group"
    assert row(event(Group="Newsletters", Resubscribed=True)) is None


def test_what_a_stranger_wrote_is_bounded() -> None:
    found = row(event(Reason="x" * 10_000, Type="y" * 10_000))
    assert found is not None
    assert len(str(found["reason"])) == LONGEST_REASON
    assert len(str(found["type"])) == 40


@pytest.mark.parametrize(("is_back", "at"), [(False, NOON + timedelta(hours=1)), (True, NOON)])
def test_in_an_hour_that_came_twice_an_opt_out_is_later_than_a_return(is_back: bool, at: datetime) -> None:
    found = row(replace(event(Resubscribed=is_back), or_at=NOON + timedelta(hours=1)))
    assert found is not None
    assert found["happened_at"] == at
