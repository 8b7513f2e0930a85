"""What the demo says of the account before and after: nobody alive may hide among those who were unsubscribed."""

from typing import Any

from ct_pipeline.cli.demo_account import account_change
from ct_pipeline.sandbox.behaviours import MailboxBehaviour
from ct_pipeline.sandbox.population import Mailbox
from ct_pipeline.vocabulary import Reason, Status

ANNA = Mailbox("anna@acme.test")
BERT = Mailbox("bert@acme.test", MailboxBehaviour.MISSING, Status.INVALID, Reason.MAILBOX_NOT_FOUND)
FULL = Mailbox("full@acme.test", MailboxBehaviour.FULL_FOR_GOOD, Status.INVALID, Reason.MAILBOX_FULL)
EVERYONE = [ANNA, BERT, FULL]


def profile(
    email: str | None, mailbox: Mailbox | None, *, is_dnd: bool = False, **properties: object
) -> dict[str, Any]:
    return {
        "object_ids": [f"__{email}"],
        "email": email,
        "mailbox": mailbox.address if mailbox else None,
        "properties": properties,
        "msg_email": None,
        "is_dnd": is_dnd,
        "is_made_by_upload": False,
    }


BEFORE = [
    profile("Anna@acme.test", ANNA, Plan="Gold"),
    profile("bert@acme.test", BERT),
    profile("full@acme.test", FULL),
    profile("no address", None),
    profile(None, None),
]


def after(*opted_out: str, **properties: object) -> list[dict[str, Any]]:
    return [
        entry | {"is_dnd": entry["email"] in opted_out, "properties": entry["properties"] | properties}
        for entry in BEFORE
    ]


def test_the_dead_are_unsubscribed_and_the_living_are_not() -> None:
    change = account_change(BEFORE, after("bert@acme.test"), EVERYONE)
    assert change.unsubscribed == {"bert@acme.test"}
    assert change.unsubscribed_though_alive == frozenset()
    assert change.still_subscribed_though_dead == {"no address"}


def test_a_living_or_merely_full_mailbox_among_them_is_told() -> None:
    change = account_change(BEFORE, after("Anna@acme.test", "full@acme.test", "bert@acme.test"), EVERYONE)
    assert change.unsubscribed_though_alive == {"Anna@acme.test", "full@acme.test"}


def test_new_properties_are_counted_by_profile_and_by_value() -> None:
    change = account_change(BEFORE, after(Plan="Gold", Status="valid"), EVERYONE)
    assert (change.profiles_with_new_properties, change.changed_property_count) == (5, 9)
