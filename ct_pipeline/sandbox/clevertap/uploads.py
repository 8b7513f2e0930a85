"""``/1/upload`` and ``/1/subscribe``: a batch of records in, one answer about all of them out (5.6; no I/O)."""

from collections.abc import Callable

from ct_pipeline.sandbox.clevertap import answers
from ct_pipeline.sandbox.clevertap.account import Account
from ct_pipeline.sandbox.clevertap.answers import Answer
from ct_pipeline.sandbox.clevertap.faults import Dice, Faults
from ct_pipeline.sandbox.clevertap.records import EMAIL, SERVER_ERROR, RecordError, record_error, subscription_error
from ct_pipeline.sandbox.clevertap.writes import apply_record, apply_subscription

MOST_RECORDS = 1000


class Uploads:
    def __init__(self, account: Account, faults: Faults, dice: Dice) -> None:
        self._account, self._faults, self._dice = account, faults, dice

    def upload(self, body: object, *, is_dry_run: bool = False) -> Answer:
        """Store what is good, and tell what is not, record by record."""
        before = len(self._account.profiles)

        def store(record: dict[str, object]) -> None:
            if not is_dry_run:
                apply_record(self._account, self._faults, record)

        answer = self._answer(body, record_error, store, may_fail=not is_dry_run)
        if answer.status != 200:
            return answer
        more = {
            "is_dry_run": is_dry_run,
            "made_profile_count": len(self._account.profiles) - before,
            "named_by_email_count": _named_by_email(body),
        }
        return answer._replace(counts={**answer.counts, **more})

    def subscribe(self, body: object) -> Answer:
        return self._answer(body, subscription_error, lambda record: apply_subscription(self._account, record))

    def _answer(
        self,
        body: object,
        check: Callable[[object], RecordError | None],
        store: Callable[[dict[str, object]], None],
        *,
        may_fail: bool = True,
    ) -> Answer:
        records = body.get("d") if isinstance(body, dict) else None
        if not isinstance(records, list):
            return answers.malformed()
        if not records and self._account.switches.empty_upload == "malformed":
            return answers.malformed()
        if len(records) > MOST_RECORDS:
            return answers.fail(400, f"A maximum of {MOST_RECORDS} records is allowed per request")
        unprocessed = []
        for number, record in enumerate(records, start=1):
            error = check(record)
            if error is None and may_fail and self._dice.hits(self._faults.record_errors, repr(record)):
                error = SERVER_ERROR
            if error is None:
                store(record)
            else:
                unprocessed.append({
                    "status": "fail",
                    "code": error.code,
                    "error": f"{error.text}Skipped record number : {number}",
                    "record": record,
                })  # fmt: skip
        processed_count = len(records) - len(unprocessed)
        status = "success" if not unprocessed else "partial" if processed_count else "fail"
        return answers.success(
            {"status": status, "processed": processed_count, "unprocessed": unprocessed},
            record_count=len(records),
            processed_count=processed_count,
        )


def _named_by_email(body: object) -> int:
    records = body.get("d") if isinstance(body, dict) else None
    if not isinstance(records, list):
        return 0
    return sum(
        isinstance(record, dict) and EMAIL.fullmatch(str(record.get("identity", ""))) is not None for record in records
    )
