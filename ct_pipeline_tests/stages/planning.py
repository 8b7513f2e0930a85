"""A ledger to plan with: people with verdicts, audiences, and a stand-in for the push that takes what is sendable."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.rules_in_force import rules_version
from ct_pipeline.storage.batches import add_batch
from ct_pipeline.storage.changes import finish_batch, intend, keep_receipts, open_changes, processed_changes, take_batch
from ct_pipeline.to_clevertap.changes import Change, Receipt
from ct_pipeline.vocabulary import BatchState, ChangeKind, Outcome

PROJECT = "TEST-123-4567"
DAY = timedelta(days=1)
HARD = {"syntax_error", "domain_not_found", "null_mx", "mailbox_not_found", "mailbox_disabled", "domain_not_hosted"}
SERVICES = {"domain_not_found": "domain_not_found", "null_mx": "null_mx", "no_mail_service": "no_mail_service"}


class World:
    """The people of a CleverTap project in the ledger. Everything is as of ``now``, which is the time of its making."""

    def __init__(self, conn: psycopg.Connection, settings: Settings, project: str = PROJECT) -> None:
        self.conn = conn
        self.project = project
        self.settings = settings
        self.now = datetime.now(UTC)

    def with_settings(self, **changes: object) -> Settings:
        """The settings with ``changes``; brakes are off unless named."""
        base = {
            "state_dir": self.settings.state_dir,
            "database_url": self.settings.database_url,
            "project_id": self.project,
            "unsubscribe_share_limit": 1,
            "provider_jump_limit": 1,
        }
        return load_settings(**{**base, **changes})

    def person(
        self,
        raw_email: str | None,
        reason: str | None = None,
        *,
        identity: str | None = None,
        address: str | None = None,
        provider: str = "mailhost.test",
        verified_at: datetime | None = None,
        rules: str | None = None,
        look_ups_apart: timedelta = 2 * DAY,
        properties: Mapping[str, object] | None = None,
        event_count: int = 0,
        event_at: datetime | None = None,
        project: str = "",
    ) -> int:
        """A profile; with ``reason`` its address has that verdict. The same ``identity`` again changes it."""
        address_id = None
        if raw_email is not None:
            address_id = self.address(address or raw_email.strip().lower(), reason or "", provider, look_ups_apart)
            if reason is not None:
                self.judge(address_id, reason, provider=provider, verified_at=verified_at, rules=rules)
        row = self.conn.execute(
            """
            insert into ledger.profiles (project, identifier_kind, identifier, address_id, raw_email, properties,
                unsubscribe_event_count, unsubscribe_event_at, seen_at, pull_id)
            values (%s, 'identity', %s, %s, %s, %s::jsonb, %s, %s, %s, 1)
            on conflict (project, identifier_kind, identifier) do update
            set address_id = excluded.address_id, raw_email = excluded.raw_email
            returning profile_id
            """,
            (
                project or self.project, identity or f"id of {raw_email}", address_id, raw_email,
                json.dumps(properties or {}), event_count, event_at, self.now,
            ),
        ).fetchone()  # fmt: skip
        assert row is not None
        return row[0]

    def address(self, address: str, reason: str, provider: str, look_ups_apart: timedelta) -> int:
        domain_id = None
        if reason != "syntax_error":
            row = self.conn.execute(
                """
                insert into ledger.domains (domain, service, provider, looked_up_at, service_since_at)
                values (%s, %s, %s, %s, %s)
                on conflict (domain) do update set service = excluded.service, looked_up_at = excluded.looked_up_at,
                    service_since_at = excluded.service_since_at
                returning domain_id
                """,
                (address.rpartition("@")[2], SERVICES.get(reason, "mx"), provider, self.now, self.now - look_ups_apart),
            ).fetchone()
            assert row is not None
            domain_id = row[0]
        row = self.conn.execute(
            """
            insert into ledger.addresses (address, domain_id, is_role) values (%s, %s, false)
            on conflict (address) do update set domain_id = excluded.domain_id returning address_id
            """,
            (address, domain_id),
        ).fetchone()
        assert row is not None
        return row[0]

    def judge(
        self,
        address_id: int,
        reason: str,
        *,
        provider: str = "mailhost.test",
        verified_at: datetime | None = None,
        rules: str | None = None,
    ) -> None:
        status = {"accepted": "valid", "catch_all": "catch_all"}.get(reason, "invalid" if reason in HARD else "unknown")
        bounce_type = "hard" if reason in HARD else "none"
        safe = {"valid": "yes", "invalid": "no", "catch_all": "risky"}.get(status, "unknown")
        self.conn.execute(
            """
            insert into ledger.verdicts (address_id, status, reason, safe_to_send, bounce_type, verdict_text,
                is_disposable, is_free, is_role, provider, smtp_code, attempt_count, verified_at, rule, rules_version,
                judged_at)
            values (%s, %s, %s, %s, %s, 'So it is.', false, false, false, %s, 550, 1, %s, 'rule', %s, %s)
            on conflict (address_id) do update set status = excluded.status, reason = excluded.reason,
                safe_to_send = excluded.safe_to_send, bounce_type = excluded.bounce_type,
                provider = excluded.provider, verified_at = excluded.verified_at,
                rules_version = excluded.rules_version
            """,
            (
                address_id, status, reason, safe, bounce_type, provider, verified_at or self.now - DAY,
                rules or rules_version(self.settings), self.now,
            ),
        )  # fmt: skip

    def judge_again(self, address: str, reason: str, **changes: Any) -> None:
        row = self.conn.execute("select address_id from ledger.addresses where address = %s", (address,)).fetchone()
        assert row is not None
        self.judge(row[0], reason, **changes)

    def event(
        self, email: str, *, happened_at: datetime, identity: str, is_resubscribe: bool = False, level: str = "account"
    ) -> None:
        self.conn.execute(
            """
            insert into ledger.subscription_events (project, email, happened_at, identifier_kind, identifier,
                is_resubscribe, level)
            values (%s, %s, %s, 'identity', %s, %s, %s)
            """,
            (self.project, email, happened_at, identity, is_resubscribe, level),
        )

    def pull(self, audience: str, profile_ids: Iterable[int], source_name: str = "") -> None:
        """A pull of an audience that was taken up."""
        name = f"{self.project}/{audience}"
        self.conn.execute(
            "insert into ledger.audiences (name, created_at) values (%s, %s) on conflict do nothing", (name, self.now)
        )
        rows = list(profile_ids)
        sha256 = hashlib.sha256(f"{name} {source_name} {rows}".encode()).hexdigest()
        row = self.conn.execute(
            """
            insert into ledger.pulls (audience_id, kind, source_name, sha256, lake_path, row_count, set_aside_count,
                email_column, columns, pulled_at, taken_up_at, project)
            select audience_id, 'profiles', %s, %s, '', %s, 0, '', '[]', clock_timestamp(), clock_timestamp(), %s
            from ledger.audiences where name = %s returning pull_id
            """,
            (source_name or audience, sha256, len(rows), self.project, name),
        ).fetchone()
        assert row is not None
        self.conn.execute(
            """
            insert into ledger.holders (pull_id, row_number, address_id, profile_id)
            select %s, row_number() over (), address_id, profile_id from ledger.profiles
            where profile_id = any(%s) and address_id is not null
            """,
            (row[0], rows),
        )

    def push(self, outcome: Outcome = Outcome.PROCESSED, kinds: Iterable[ChangeKind] = tuple(ChangeKind)) -> int:
        """Send, as a push would, every batch that is not held; how many changes there were."""
        rows = self.conn.execute(
            """
            select batch_id from ledger.batches
            where state in ('planned', 'approved') and kind = any(%s) and project = %s order by 1
            """,
            ([str(kind) for kind in kinds], self.project),
        ).fetchall()
        count = 0
        for (batch_id,) in rows:
            count += self.send(batch_id, outcome)
        return count

    def send(self, batch_id: int, outcome: Outcome = Outcome.PROCESSED) -> int:
        now = datetime.now(UTC)
        take_batch(self.conn, batch_id, now)
        changes = open_changes(self.conn, batch_id)
        intend(self.conn, batch_id, [change.change_id for change in changes], now)
        keep_receipts(self.conn, [Receipt(change.change_id, outcome, now) for change in changes])
        finish_batch(self.conn, batch_id, now)
        return len(changes)

    def undo(self, batch_id: int) -> int:
        """A batch that takes back everything that was processed, sent at once."""
        changes = processed_changes(self.conn, batch_id)
        undo_id = add_batch(
            self.conn,
            project=self.project,
            kind=ChangeKind.RESUBSCRIBE if changes[0].kind is ChangeKind.UNSUBSCRIBE else ChangeKind.SET_PROPERTIES,
            changes=[undone(change) for change in changes],
            planned_at=self.now,
            undoes_batch_id=batch_id,
        )
        return self.send(undo_id)

    def batches(self, state: BatchState | None = None) -> list[tuple[int, str, int]]:
        return self.conn.execute(
            """
            select batch_id, kind, change_count from ledger.batches
            where project = %s and (%s::text is null or state = %s) order by batch_id
            """,
            (self.project, state, state),
        ).fetchall()


def undone(change: Change) -> Change:
    kind = ChangeKind.RESUBSCRIBE if change.kind is ChangeKind.UNSUBSCRIBE else change.kind
    back = {name: change.prior_properties.get(name, {"$delete": True}) for name in change.properties}
    return Change(
        0, 0, kind, change.address_id, change.raw_email, change.profile_id, change.identifier, back, change.properties,
        change.prior_subscription, change.prior_source, "", "", "", "", "", None,
    )  # fmt: skip
