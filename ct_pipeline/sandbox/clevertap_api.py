"""CleverTap's HTTP API on a simulated account: who is asking, is there room, and what is answered."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from ct_pipeline.sandbox import clevertap_answers as answers
from ct_pipeline.sandbox.clevertap_account import Account
from ct_pipeline.sandbox.clevertap_answers import Answer, RefusedError
from ct_pipeline.sandbox.clevertap_exports import (
    LARGEST_BATCH,
    Exports,
    NotReadyError,
    Options,
    ProfileView,
    StaleCursorError,
)
from ct_pipeline.sandbox.clevertap_faults import Dice, Faults
from ct_pipeline.sandbox.clevertap_limits import InFlight
from ct_pipeline.sandbox.clevertap_log import LoggedRequest, RequestLog
from ct_pipeline.sandbox.clevertap_query import Query, QueryError
from ct_pipeline.sandbox.clevertap_uploads import Uploads

EVERYTHING = Options(1, with_app=True, with_events=True, with_profile=True)


class Request:
    """One request, read. ``query`` holds the query string's decoded values, ``raw_query`` what was in the URL."""

    def __init__(self, method: str, path: str, raw_query: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method, self.path, self.raw_query = method, path, raw_query
        self.headers, self.body = headers, body
        self.query = dict(parse_qsl(raw_query, keep_blank_values=True))

    @property
    def raw_cursor(self) -> str | None:
        parts = (part.partition("=") for part in self.raw_query.split("&"))
        return next((value for name, _, value in parts if name == "cursor"), None)

    def json(self) -> Any:
        """Raises RefusedError (Malformed request) for a body that is no JSON, or says that it is none."""
        if "json" not in self.headers.get("content-type", ""):
            raise RefusedError(answers.malformed())
        try:
            return json.loads(self.body)
        except ValueError:
            raise RefusedError(answers.malformed()) from None

    def identity(self) -> tuple[str, str, str, bytes]:
        """The same for a request and its repetitions."""
        return (self.method, self.path, self.raw_query, self.body)


class ClevertapApi:
    """Answers requests; :meth:`answer` is the way in."""

    def __init__(self, account: Account, faults: Faults, log: RequestLog) -> None:
        self.account, self.faults, self.log = account, faults, log
        self._dice = Dice(faults.seed)
        self._in_flight = InFlight(log.most_in_flight)
        self.exports = Exports(account, faults, self._dice)
        self._uploads = Uploads(account, faults, self._dice)
        self._counts: dict[str, tuple[dict[str, object], int]] = {}  # by req_id: the answer, and polls until then
        self._authenticated_count = 0

    async def answer(self, request: Request) -> Answer:
        """What the client gets, logged."""
        try:
            answer = await self._answer(request)
        except RefusedError as refusal:
            answer = refusal.answer
        self.log.add(
            LoggedRequest(
                at=self.account.now(),
                method=request.method,
                path=request.path,
                status=0 if answer.is_lost else answer.status,
                **{
                    field: getattr(answer, field)
                    for field in answer._fields
                    if field in LoggedRequest.__slots__ and field != "status"
                },
            )
        )
        return answer

    async def _answer(self, request: Request) -> Answer:
        routes = ROUTES.get(request.path.rstrip("/"))
        if routes is None:
            return answers.fail(404, "Not found")
        if request.method not in routes:
            return answers.fail(405, "Method not allowed")
        api, handle = routes[request.method]
        with self._in_flight.call(api) as has_room:
            await asyncio.sleep(self.faults.answer_seconds)
            if not has_room:
                return self._busy()
            self._check_access(request)
            trouble = self._trouble(request, api)
            if trouble is not None:
                return trouble
            answer = handle(self, request)
            if answer.status == 200 and self._dice.hits(self.faults.lost_answers, request.identity()):
                return answer._replace(is_lost=True, fault="lost_answers")
            return answer

    def _check_access(self, request: Request) -> None:
        account_id = request.headers.get("x-clevertap-account-id", "")
        if request.path == "/v1/connect" and not account_id:
            raise RefusedError(answers.fail(503, "Service unavailable"))
        if self.faults.is_forbidden:
            raise RefusedError(answers.fail(403, "IP address is not allowed", fault="is_forbidden"))
        switches = self.account.switches
        if self.faults.is_wrong_region:
            raise RefusedError(answers.fail(401, switches.wrong_region_text, fault="is_wrong_region"))
        if account_id != self.account.access.project_id:
            raise RefusedError(answers.fail(401, "Account ID is not valid"))
        if request.headers.get("x-clevertap-passcode") != self.account.access.passcode:
            raise RefusedError(answers.fail(401, switches.wrong_passcode_text))
        self._authenticated_count += 1
        limit = self.faults.passcode_expires_after
        if self.faults.is_passcode_expired or (limit is not None and self._authenticated_count > limit):
            raise RefusedError(answers.fail(401, switches.wrong_passcode_text, fault="is_passcode_expired"))

    def _busy(self, fault: str = "") -> Answer:
        words = "Too many concurrent requests"
        if self.account.switches.too_many_requests_body == "text":
            return answers.text(429, words, fault=fault)
        return answers.fail(429, words, fault=fault)

    def _trouble(self, request: Request, api: str) -> Answer | None:
        faults, name = self.faults, request.identity()
        if self._dice.hits(faults.server_errors, name):
            status = 500 if self._dice.random.random() < 0.5 else 503
            return answers.fail(status, "Internal error, try again later", fault="server_errors")
        if self._dice.hits(faults.html_bodies, name):
            return answers.proxy_page()
        if self._dice.hits(faults.busy_answers, name):
            return self._busy("busy_answers")
        if api == "upload" and self._dice.hits(faults.malformed_uploads, name):
            return answers.malformed(fault="malformed_uploads")
        if (
            api in ("profiles", "events")
            and request.method == "POST"
            and self._dice.hits(faults.throttled_exports, name)
        ):
            return answers.fail(200, "Request throttled", 1, fault="throttled_exports")
        return None

    # -- what each path does

    def connect(self, request: Request) -> Answer:
        if not request.query.get("partner") or self.account.switches.unknown_partner == "refused":
            return answers.fail(400, "Partner is not valid")
        return answers.success({"status": "success"})

    def profiles(self, request: Request) -> Answer:
        return self._export(request, is_of_events=False)

    def events(self, request: Request) -> Answer:
        return self._export(request, is_of_events=True)

    def _export(self, request: Request, *, is_of_events: bool) -> Answer:
        cursor = request.raw_cursor
        if cursor is None:
            return self._open_export(request, is_of_events)
        try:
            return answers.page(self.exports.page(cursor, is_of_events=is_of_events))
        except NotReadyError:
            status = self.faults.not_ready_status
            return answers.fail(status, "Cursor is not ready yet, try again later", 2, fault="not_ready_fetches")
        except StaleCursorError:
            return answers.fail(self.account.switches.stale_cursor_status, "Incorrect Usage", 400)

    def _open_export(self, request: Request, is_of_events: bool) -> Answer:
        body = request.json() if request.method == "POST" else _json_or_none(request.query.get("query"))
        query = self._query(body, needs_event=is_of_events)
        options = self._options(request.query)
        exports = self.exports
        cursor = exports.open_events(query, options) if is_of_events else exports.open_profiles(query, options)
        return answers.success({"status": "success", "cursor": cursor})

    def _query(self, body: object, *, needs_event: bool = False) -> Query:
        account = self.account
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
        given = query.get("batch_size", str(self.account.switches.default_batch_size))
        size = int(given) if given.isdecimal() else 0
        if size < 1 or (size > LARGEST_BATCH and self.account.switches.large_batch_size == "refused"):
            raise RefusedError(answers.fail(400, "batch_size is not valid"))
        wants: Callable[[str, str], bool] = lambda name, default: query.get(name, default).lower() == "true"  # noqa: E731
        return Options(
            min(size, LARGEST_BATCH), wants("app", "false"), wants("events", "true"), wants("profile", "true")
        )

    def profile(self, request: Request) -> Answer:
        """One profile by exactly one of email, identity, objectId (4.4)."""
        account, switches = self.account, self.account.switches
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
            return answers.success({"status": "success", "record": ProfileView(account, EVERYTHING).record(found)})
        match switches.not_found:
            case "404":
                return answers.fail(404, "Profile not found")
            case "fail":
                return answers.fail(200, "Profile not found", 404)
        return answers.success({"status": "success", "record": None})

    def count_profiles(self, request: Request) -> Answer:
        return self._count(request, is_of_events=False)

    def count_events(self, request: Request) -> Answer:
        return self._count(request, is_of_events=True)

    def _count(self, request: Request, *, is_of_events: bool) -> Answer:
        req_id = request.query.get("req_id")
        if req_id is None:
            answer = self._counted(self._query(request.json(), needs_event=is_of_events), is_of_events)
            if not self.faults.count_polls:
                return answers.success(answer)
            req_id = str(384_649_162_721_759 + len(self._counts))
            self._counts[req_id] = (answer, self.faults.count_polls)
            return answers.success({"status": "partial", "req_id": int(req_id)})
        if req_id not in self._counts:
            return answers.fail(400, "Request id is not valid")
        answer, poll_count = self._counts[req_id]
        if poll_count > 1:
            self._counts[req_id] = (answer, poll_count - 1)
            return answers.success({"status": "partial", "req_id": int(req_id)})
        return answers.success(answer)

    def _counted(self, query: Query, is_of_events: bool) -> dict[str, object]:
        account = self.account
        people = [profile for profile in account.profiles if query.matches(profile, account.shown(profile))]
        if not is_of_events:
            return {"status": "success", "count": len(people)}
        occurrences = sum(1 for profile in people for _ in query.occurrences(profile))
        return {"status": "success", "count": occurrences, "unique": len(people)}

    def upload(self, request: Request) -> Answer:
        return self._uploads.upload(request.json(), is_dry_run=request.query.get("dryRun", "0") in ("1", "true"))

    def subscribe(self, request: Request) -> Answer:
        return self._uploads.subscribe(request.json())

    def disassociate(self, request: Request) -> Answer:
        records = request.json().get("d", ())
        return answers.success({"status": "success", "processed": len(records), "unprocessed": []})

    def delete(self, request: Request) -> Answer:
        body = request.json()
        if not isinstance(body, dict) or ("identity" in body) == ("guid" in body):
            return answers.fail(400, "Exactly one of identity, guid is expected")
        find = self.account.by_identity if "identity" in body else self.account.by_object_id
        values = body.get("identity", body.get("guid"))
        for value in values if isinstance(values, list) else [values]:
            if (profile := find(str(value))) is not None:
                self.account.remove(profile)
        return answers.success({"status": "success"})

    def demerge(self, request: Request) -> Answer:
        request.json()
        return answers.success({"status": "success"})


def _json_or_none(text: str | None) -> object:
    try:
        return json.loads(text or "")
    except ValueError:
        raise RefusedError(answers.malformed()) from None


Handler = Callable[[ClevertapApi, Request], Answer]
ROUTES: dict[str, dict[str, tuple[str, Handler]]] = {
    "/v1/connect": {"GET": ("connect", ClevertapApi.connect)},
    "/1/profiles.json": dict.fromkeys(("GET", "POST"), ("profiles", ClevertapApi.profiles)),
    "/1/events.json": dict.fromkeys(("GET", "POST"), ("events", ClevertapApi.events)),
    "/1/profile.json": {"GET": ("profiles", ClevertapApi.profile)},
    "/1/counts/profiles.json": dict.fromkeys(("GET", "POST"), ("profile count", ClevertapApi.count_profiles)),
    "/1/counts/events.json": dict.fromkeys(("GET", "POST"), ("event count", ClevertapApi.count_events)),
    "/1/upload": {"POST": ("upload", ClevertapApi.upload)},
    "/1/subscribe": {"POST": ("subscribe", ClevertapApi.subscribe)},
    "/1/disassociate": {"POST": ("disassociate", ClevertapApi.disassociate)},
    "/1/delete/profiles.json": {"POST": ("delete", ClevertapApi.delete)},
    "/1/demerge/profiles.json": {"POST": ("demerge", ClevertapApi.demerge)},
}
"""Path, method: the API whose limit counts, and what answers."""
