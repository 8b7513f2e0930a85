"""The reading calls of the simulated API: exports, one profile, counts (4, 8.1; no I/O)."""

import json
from collections.abc import Mapping

from ct_pipeline.sandbox.clevertap import answers
from ct_pipeline.sandbox.clevertap.account import Account
from ct_pipeline.sandbox.clevertap.answers import Answer, RefusedError
from ct_pipeline.sandbox.clevertap.exports import LARGEST_BATCH, Exports, NotReadyError, StaleCursorError
from ct_pipeline.sandbox.clevertap.faults import Dice, Faults
from ct_pipeline.sandbox.clevertap.query import Query, QueryError
from ct_pipeline.sandbox.clevertap.request import Request
from ct_pipeline.sandbox.clevertap.views import Options, View

DEFAULT_FLAGS = {"app": "false", "events": "true", "profile": "true"}
EVERYTHING = Options(1, with_app=True, with_events=True, with_profile=True)
FIRST_REQUEST_ID = 384_649_162_721_759


class Reads:
    def __init__(self, account: Account, faults: Faults, dice: Dice) -> None:
        self._account, self._faults = account, faults
        self.exports = Exports(account, faults, dice)
        self._counts: dict[str, tuple[dict[str, object], int]] = {}  # by req_id: the answer, and polls until then

    def profiles(self, request: Request) -> Answer:
        """Open an export of people, or fetch a page of one."""
        return self._export(request, is_of_events=False)

    def events(self, request: Request) -> Answer:
        """Open an export of events, or fetch a page of one."""
        return self._export(request, is_of_events=True)

    def _export(self, request: Request, *, is_of_events: bool) -> Answer:
        cursor = request.raw_cursor
        if cursor is None:
            return self._open_export(request, is_of_events)
        try:
            return answers.page(self.exports.page(cursor, is_of_events=is_of_events))
        except NotReadyError:
            status = self._faults.not_ready_status
            return answers.fail(status, "Cursor is not ready yet, try again later", 2, fault="not_ready_fetches")
        except StaleCursorError:
            return answers.fail(self._account.switches.stale_cursor_status, "Incorrect Usage", 400)

    def _open_export(self, request: Request, is_of_events: bool) -> Answer:
        body = request.json() if request.method == "POST" else _json_or_none(request.query.get("query"))
        query = self._query(body, needs_event=is_of_events)
        options = self._options(request.query)
        open_export = self.exports.open_events if is_of_events else self.exports.open_profiles
        return answers.success({"status": "success", "cursor": open_export(query, options)})

    def _query(self, body: object, *, needs_event: bool = False) -> Query:
        account = self._account
        try:
            return Query(
                body,
                account.access.zone,
                account.now(),
                account.switches,
                account.event_names,
                needs_event=needs_event,
            )
        except QueryError as error:
            status = account.switches.future_status if error.code == 4002 else 400
            raise RefusedError(answers.fail(status, str(error), error.code)) from None

    def _options(self, query: Mapping[str, str]) -> Options:
        given = query.get("batch_size", str(self._account.switches.default_batch_size))
        size = int(given) if given.isdecimal() else 0
        if size < 1 or (size > LARGEST_BATCH and self._account.switches.large_batch_size == "refused"):
            raise RefusedError(answers.fail(400, "batch_size is not valid"))
        wanted = {name: query.get(name, default).lower() == "true" for name, default in DEFAULT_FLAGS.items()}
        return Options(min(size, LARGEST_BATCH), wanted["app"], wanted["events"], wanted["profile"])

    def profile(self, request: Request) -> Answer:
        """One profile by exactly one of email, identity, objectId (4.4)."""
        account, switches = self._account, self._account.switches
        given = {name: request.query[name] for name in ("email", "identity", "objectId") if name in request.query}
        if len(given) != 1:
            return answers.fail(400, "Exactly one of email, identity, objectId is expected")
        ((name, value),) = given.items()
        if name == "email":
            holders = account.holders(value)
            place = 0 if switches.shared_email == "first" else -1
            found = holders[place] if holders else None
        else:
            found = account.by_identity(value) if name == "identity" else account.by_object_id(value)
        if found is not None:
            return answers.success({"status": "success", "record": View(account, EVERYTHING).profile_record(found)})
        match switches.not_found:
            case "404":
                return answers.fail(404, "Profile not found")
            case "fail":
                return answers.fail(200, "Profile not found", 404)
        return answers.success({"status": "success", "record": None})

    def count_profiles(self, request: Request) -> Answer:
        """How many people a query finds, at once or under a ``req_id`` (4.5)."""
        return self._count(request, is_of_events=False)

    def count_events(self, request: Request) -> Answer:
        """How often a query's event was raised."""
        return self._count(request, is_of_events=True)

    def _count(self, request: Request, *, is_of_events: bool) -> Answer:
        req_id = request.query.get("req_id")
        if req_id is None:
            needs_event = is_of_events or self._account.switches.eventless_counts == "refused"
            answer = self._counted(self._query(request.json(), needs_event=needs_event), is_of_events)
            if not self._faults.count_polls:
                return answers.success(answer)
            req_id = str(FIRST_REQUEST_ID + len(self._counts))
            self._counts[req_id] = (answer, self._faults.count_polls)
            return answers.success({"status": "partial", "req_id": int(req_id)})
        if req_id not in self._counts:
            return answers.fail(400, "Request id is not valid")
        answer, poll_count = self._counts[req_id]
        if poll_count > 1:
            self._counts[req_id] = (answer, poll_count - 1)
            return answers.success({"status": "partial", "req_id": int(req_id)})
        return answers.success(answer)

    def _counted(self, query: Query, is_of_events: bool) -> dict[str, object]:
        account = self._account
        people = [profile for profile in account.profiles if query.matches(profile, account.shown(profile))]
        if not is_of_events:
            return {"status": "success", "count": len(people)}
        occurrences = sum(1 for profile in people for _ in query.occurrences(profile))
        return {"status": "success", "count": occurrences, "unique": len(people)}


def _json_or_none(text: str | None) -> object:
    try:
        return json.loads(text or "")
    except ValueError:
        raise RefusedError(answers.malformed()) from None
