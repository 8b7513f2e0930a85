"""A small CleverTap account that the ledger knows: the same profiles on both sides, with a verdict on each address."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from ct_pipeline.clevertap.records import PropertyValue
from ct_pipeline.sandbox.clevertap.faults import Faults, Switches
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.storage.database import connect
from ct_pipeline.vocabulary import ChangeKind, ExportMode, Subscription, SubscriptionSource
from ct_pipeline_tests.storage import export_records

SUBSCRIBED = (Subscription.SUBSCRIBED, SubscriptionSource.EVENT)
UNKNOWN = (Subscription.UNKNOWN, SubscriptionSource.NONE)


@dataclass
class SmallAccount:
    """``profile_ids`` by identity. Methods that plan return the batch's id."""

    clevertap: CleverTapSimulator
    settings: Settings
    conn: psycopg.Connection
    project: str
    profile_ids: dict[str, int] = field(default_factory=dict[str, int])

    def plan_unsubscribes(
        self, raw_emails: Sequence[str], prior: tuple[Subscription, SubscriptionSource] = SUBSCRIBED
    ) -> int:
        return export_records.add_unsubscribes(
            self.conn, raw_emails, prior=prior[0], source=prior[1], project=self.project
        )

    def plan_properties(self, properties: Mapping[str, Mapping[str, PropertyValue]]) -> int:
        """By identity."""
        changes = [(self.profile_ids[identity], new) for identity, new in properties.items()]
        return export_records.add_property_changes(self.conn, changes, project=self.project)

    def opted_out(self) -> set[str]:
        """Addresses that no campaign would write to, as they are spelt."""
        return {str(p["email"]) for p in self.clevertap.state() if p["is_dnd"]}

    def properties(self) -> dict[str, object]:
        """By identity."""
        return {str(p["identity"]): p["properties"] for p in self.clevertap.state()}

    def believed(self) -> dict[str, object]:
        """The properties that the ledger believes profiles to hold, by identity."""
        return dict(self.conn.execute("select identifier, properties from ledger.profiles").fetchall())

    def outcomes(self, batch_id: int) -> list[str]:
        return [outcome for outcome, _ in export_records.outcomes(self.conn, batch_id)]

    def state_of(self, batch_id: int) -> str:
        return export_records.state_of(self.conn, batch_id)

    def later(self) -> None:
        """Some seconds pass in CleverTap, whose events tell the time to the second."""
        self.clevertap.faults.clock_offset_seconds += 10

    def writes(self) -> list[str]:
        """The paths of all writing requests, in their order."""
        return [r.path for r in self.clevertap.requests if r.path in ("/1/upload", "/1/subscribe")]


@contextmanager
def small_account(
    own: Settings,
    people: Mapping[str, str | None],
    *,
    properties: Mapping[str, Mapping[str, object]] | None = None,
    faults: Faults | None = None,
    switches: Switches | None = None,
    **overrides: object,
) -> Iterator[SmallAccount]:
    """An account of ``people`` (identity → address, Invalid all of them) in CleverTap and in the ledger of ``own``."""
    before = properties or {}
    profiles = [AccountProfile(name, email, properties=dict(before.get(name, {}))) for name, email in people.items()]
    assert own.database_url is not None
    simulator = CleverTapSimulator(profiles, faults=faults, switches=switches)
    with simulator.run_in_thread(), connect(own.database_url.get_secret_value()) as conn:
        settings = settings_for(own, simulator.environment, **overrides)
        account = SmallAccount(simulator, settings, conn, settings.project_id)
        for name, email in people.items():
            account.profile_ids[name] = export_records.add_profile(
                conn, name, email, properties=before.get(name), project=settings.project_id
            )
        yield account
        assert not any(request.named_by_email_count for request in simulator.requests), "a write by e-mail"
        assert not any(request.made_profile_count for request in simulator.requests), "a profile that was not there"


def settings_for(own: Settings, environment: Mapping[str, str], **overrides: object) -> Settings:
    """``own`` ledger and state folder, pointed at a simulated account; pushes apply, and read back at once."""
    named = {name.removeprefix("CT_").lower(): value for name, value in environment.items()}
    ready: dict[str, object] = {"export_mode": ExportMode.APPLY, "read_back_seconds": 0.0}
    return load_settings(
        **{"state_dir": own.state_dir, "database_url": own.database_url, **named, **ready, **overrides}
    )


def crowd(count: int, domain: str = "x.test") -> dict[str, str]:
    """Identity → address of so many people."""
    return {f"cust-{number}": f"user{number}@{domain}" for number in range(count)}


ALL_KINDS = tuple(ChangeKind)
