"""An account in a process of its own, with hundreds of batches planned: enough work to be killed at often."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from ct_pipeline.sandbox.clevertap.remote import RemoteClevertap
from ct_pipeline.sandbox.population import Inhabitants, Mailbox, MailDomain, write_inhabitants
from ct_pipeline.sandbox.process import SandboxProcess
from ct_pipeline.settings import Settings
from ct_pipeline.storage.database import connect
from ct_pipeline.vocabulary import Subscription, SubscriptionSource
from ct_pipeline_tests.stages.small_account import settings_for
from ct_pipeline_tests.storage import export_records

COLUMNS = {"EV Status": "invalid", "EV Safe To Send": False, "EV Verified At": "$D_1790000000"}
BEFORE = {"Plan": "Gold", "EV Status": "unknown"}


@dataclass
class BigAccount:
    """``emails`` and ``identities`` are of those planned for; the bystanders hold other addresses."""

    clevertap: RemoteClevertap
    settings: Settings
    conn: psycopg.Connection
    emails: dict[str, str]  # identity → address
    profile_ids: dict[str, int]
    bystanders: dict[str, str]

    def plan(self, batch_size: int, *, has_properties: bool = True) -> list[int]:
        """Unsubscribe everybody and, if wanted, append columns to all, in batches of this size."""
        names = list(self.emails)
        slices = [names[start : start + batch_size] for start in range(0, len(names), batch_size)]
        project = self.settings.project_id
        with self.conn.transaction():
            batches = [
                export_records.add_unsubscribes(
                    self.conn,
                    [self.emails[name] for name in part],
                    prior=Subscription.SUBSCRIBED,
                    source=SubscriptionSource.EVENT,
                    project=project,
                )
                for part in slices
            ]
            if has_properties:
                batches += [
                    export_records.add_property_changes(
                        self.conn, [(self.profile_ids[name], COLUMNS) for name in part], project=project
                    )
                    for part in slices
                ]
        return batches

    def people(self) -> dict[str, dict[str, Any]]:
        """The truth by identity."""
        return {str(profile["identity"]): profile for profile in self.clevertap.state()}

    def counts(self) -> dict[str, int]:
        """Changes by outcome; without a receipt under an empty name."""
        return dict(
            self.conn.execute(
                "select coalesce(outcome, ''), count(*) from ledger.changes left join ledger.receipts using (change_id)"
                " group by 1"
            ).fetchall()
        )

    def attempts(self) -> dict[str, int]:
        """How often the ledger knows that an address was sent, by address."""
        return dict(
            self.conn.execute(
                "select raw_email, sum(attempt_count) from ledger.changes where raw_email is not null group by 1"
            ).fetchall()
        )


@contextmanager
def big_account(own: Settings, folder: Path, people_count: int, **overrides: object) -> Iterator[BigAccount]:
    emails = {f"cust-{number}": f"user{number}@x.test" for number in range(people_count)}
    bystanders = {f"other-{number}": f"other{number}@x.test" for number in range(20)}
    profiles = [
        {"identity": name, "email": email, "properties": BEFORE} for name, email in (emails | bystanders).items()
    ]
    (folder / "profiles.json").write_text(json.dumps(profiles))
    write_inhabitants(Inhabitants([], [MailDomain("x.test")], [Mailbox("ann@x.test")]), folder / "inhabitants")
    process = SandboxProcess(
        log_path=folder / "commands.jsonl",
        folder=folder / "inhabitants",
        profile_file=folder / "profiles.json",
        clevertap_log_path=folder / "calls.jsonl",
    )
    assert own.database_url is not None
    with process as sandbox, connect(own.database_url.get_secret_value()) as conn:
        settings = settings_for(own, sandbox.environment, **overrides)
        with conn.transaction():
            profile_ids = {
                name: export_records.add_profile(conn, name, email, properties=BEFORE, project=settings.project_id)
                for name, email in emails.items()
            }
        yield BigAccount(sandbox.clevertap, settings, conn, emails, profile_ids, bystanders)
