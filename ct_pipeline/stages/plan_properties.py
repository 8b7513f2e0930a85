"""The property changes of a plan: only what differs from what CleverTap is believed to hold."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import psycopg

from ct_pipeline.clevertap.records import Identifier, PropertyValue
from ct_pipeline.storage.batches import add_batch, withdraw
from ct_pipeline.storage.owed import make_members
from ct_pipeline.storage.owed_properties import PropertyRow, open_property_changes, property_rows
from ct_pipeline.storage.plan_question import HeldBack, PlanQuestion
from ct_pipeline.to_clevertap.changes import MAX_BATCH_CHANGES, Change
from ct_pipeline.to_clevertap.policy import Policy
from ct_pipeline.to_clevertap.preview import PlanSummary
from ct_pipeline.to_clevertap.properties import differences, properties_of, verdict_fields
from ct_pipeline.vocabulary import ChangeKind, IdentifierKind, Subscription, SubscriptionSource

WRITTEN_AT_ONCE = 20 * MAX_BATCH_CHANGES  # changes in one transaction

NO_LONGER_ASKED = "the policy does not ask for it any more"
OUTDATED = "other values are wanted by now"


def plan_properties(
    reader: psycopg.Connection, conn: psycopg.Connection, policy: Policy, question: PlanQuestion, summary: PlanSummary
) -> None:
    """Read through ``reader``, from one snapshot, and write through ``conn``, some batches at a time."""
    writer = _Writer(conn, summary)
    if not policy.appends:
        for change_ids in open_property_changes(reader, question.project):
            writer.withdraw(dict.fromkeys(change_ids, NO_LONGER_ASKED))
        return
    fields = verdict_fields(("status", "reason", *policy.columns))
    with reader.transaction():
        make_members(reader, question.project, question.audience)
        for rows, verdicts in property_rows(
            reader,
            question.project,
            fields,
            of_audience=question.audience is not None,
            includes_undone=question.includes_undone,
        ):
            wanted = properties_of(verdicts, policy)
            writer.take([(row, _changed(row, want)) for row, want in zip(rows, wanted, strict=True)])
    writer.flush()


def _changed(row: PropertyRow, wanted: Mapping[str, PropertyValue | None]) -> dict[str, PropertyValue]:
    if row.address_id is None:  # it had an address once, and what is written there is not about this profile any more
        return differences(dict.fromkeys(wanted), row.held)
    if row.status is None and not any(name in row.held for name in wanted):
        return {}  # nothing was judged yet, and CleverTap holds nothing that could mislead anybody
    return differences(wanted, row.held)


def owed_properties(row: PropertyRow, changed: Mapping[str, PropertyValue]) -> tuple[bool, str, bool]:
    """(whether the change is owed, why not, whether the open change of the profile is to be withdrawn)."""
    if row.open_change_id is not None:
        if row.is_open_fixed:
            return False, HeldBack.IS_PLANNED if changed else "", False
        if dict(row.open_properties or {}) == changed:
            return False, "", False
        return row.is_member and _why_held_back(row, changed) == "" and bool(changed), "", True
    if not changed or not row.is_member:
        return False, "", False
    why = _why_held_back(row, changed)
    return why == "", why, False


def _why_held_back(row: PropertyRow, changed: Mapping[str, PropertyValue]) -> str:
    if row.rejected_properties is not None and dict(row.rejected_properties) == changed:
        return HeldBack.WAS_REJECTED
    if row.undone_properties is not None:
        is_same_verdict = (row.undone_status, row.undone_reason) == (row.status or "", row.reason or "")
        if is_same_verdict and set(changed) <= set(row.undone_properties):
            return HeldBack.WAS_UNDONE
    return ""


class _Writer:
    """Collects changes and withdrawals, and writes them into the ledger some batches at a time."""

    def __init__(self, conn: psycopg.Connection, summary: PlanSummary) -> None:
        self._conn = conn
        self._summary = summary
        self._changes: list[Change] = []

    def take(self, rows: list[tuple[PropertyRow, dict[str, PropertyValue]]]) -> None:
        """Rows with what differs in each."""
        decisions = [(row, changed, *owed_properties(row, changed)) for row, changed in rows]
        outdated = {row.open_change_id: OUTDATED for row, _, _, _, is_outdated in decisions if is_outdated}
        withdrawn = self.withdraw({change_id: why for change_id, why in outdated.items() if change_id is not None})
        for row, changed, is_owed, why_not, is_outdated in decisions:
            if is_outdated and row.open_change_id not in withdrawn:
                is_owed, why_not = False, HeldBack.IS_PLANNED  # it has just been taken by a push
            if why_not:
                self._summary.held_back[why_not] = self._summary.held_back.get(why_not, 0) + 1
            if is_owed:
                self._changes.append(_change(row, changed))
        while len(self._changes) >= WRITTEN_AT_ONCE:
            self._write(self._changes[:WRITTEN_AT_ONCE])
            self._changes = self._changes[WRITTEN_AT_ONCE:]

    def flush(self) -> None:
        self._write(self._changes)
        self._changes = []

    def withdraw(self, grounds: dict[int, str]) -> set[int]:
        if not grounds:
            return set()
        withdrawn = withdraw(self._conn, grounds.items(), self._summary.planned_at)
        for why, count in Counter(grounds[change_id] for change_id in withdrawn).items():
            self._summary.withdrawn[why] = self._summary.withdrawn.get(why, 0) + count
        return withdrawn

    def _write(self, changes: list[Change]) -> None:
        with self._conn.transaction():
            for start in range(0, len(changes), MAX_BATCH_CHANGES):
                add_batch(
                    self._conn,
                    project=self._summary.project,
                    kind=ChangeKind.SET_PROPERTIES,
                    changes=changes[start : start + MAX_BATCH_CHANGES],
                    planned_at=self._summary.planned_at,
                    plan_id=self._summary.plan_id,
                )
        self._summary.property_change_count += len(changes)


def _change(row: PropertyRow, changed: Mapping[str, PropertyValue]) -> Change:
    prior: dict[str, Any] = {name: row.held[name] for name in changed if name in row.held}
    return Change(
        change_id=0,
        batch_id=0,
        kind=ChangeKind.SET_PROPERTIES,
        address_id=row.address_id,
        raw_email=None,
        profile_id=row.profile_id,
        identifier=Identifier(IdentifierKind(row.identifier_kind), row.identifier),
        properties=changed,
        prior_properties=prior,
        prior_subscription=Subscription.UNKNOWN,
        prior_source=SubscriptionSource.NONE,
        status=row.status or "",
        reason=row.reason or "",
        rule=row.rule or "",
        rules_version=row.rules_version or "",
        provider=row.provider or "",
        verified_at=row.verified_at,
    )
