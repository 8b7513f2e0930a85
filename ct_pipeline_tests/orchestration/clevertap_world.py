"""Four people in a simulated CleverTap account, and the mail hosts of their addresses."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from ct_pipeline.sandbox.behaviours import MailboxBehaviour
from ct_pipeline.sandbox.clevertap.profiles import APP_LAUNCHED, CHANNEL_UNSUBSCRIBED, AccountProfile, Raised
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.sandbox.population import Mailbox

MAILBOXES = [
    Mailbox("anna@acme.test"),
    Mailbox("bert@acme.test", MailboxBehaviour.MISSING),
    Mailbox("carl@acme.test", MailboxBehaviour.MISSING),
    Mailbox("dora@toys.test"),
]


def small_sandbox() -> Sandbox:
    """The account, and the mail hosts, not started yet. Bert is known as subscribed; of Carl nothing is known."""
    now = datetime.now(UTC)
    launched = {APP_LAUNCHED: [now - timedelta(days=days) for days in (2, 1)]}
    opted_in = Raised(int((now - timedelta(days=60)).timestamp()), {"Identity": "bert@acme.test", "Resubscribed": True})
    profiles = [
        AccountProfile("cust-1", "anna@acme.test", properties={"Plan": "Gold"}, events=launched),
        AccountProfile("cust-2", "bert@acme.test", events=launched | {CHANNEL_UNSUBSCRIBED: [opted_in]}),
        AccountProfile("cust-3", "carl@acme.test", events=launched),
        AccountProfile(email="dora@toys.test", object_ids=("__gdora1",), events=launched),
    ]
    return Sandbox(population=MAILBOXES, profiles=profiles, smtp_port=0, dns_port=0)


def opted_out(sandbox: Sandbox) -> set[str]:
    """Addresses that no campaign would write to."""
    return {str(profile["email"]) for profile in sandbox.clevertap.state() if profile["is_dnd"]}


def properties(sandbox: Sandbox, email: str) -> Mapping[str, object]:
    (profile,) = sandbox.clevertap.state(email=email)
    found = profile["properties"]
    assert isinstance(found, dict)
    return found


def write_count(sandbox: Sandbox, path: str) -> int:
    """Requests to /1/subscribe or /1/upload until now."""
    return sum(request.path == path and not request.is_dry_run for request in sandbox.clevertap.requests)
