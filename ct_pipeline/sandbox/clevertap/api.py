"""CleverTap's HTTP API on a simulated account: who is asking, is there room, and what is answered."""

import asyncio
from collections.abc import Callable

from ct_pipeline.sandbox.clevertap import answers
from ct_pipeline.sandbox.clevertap.account import Account
from ct_pipeline.sandbox.clevertap.answers import Answer, RefusedError
from ct_pipeline.sandbox.clevertap.faults import Dice, Faults
from ct_pipeline.sandbox.clevertap.limits import InFlight
from ct_pipeline.sandbox.clevertap.log import LoggedRequest, RequestLog
from ct_pipeline.sandbox.clevertap.reads import Reads
from ct_pipeline.sandbox.clevertap.request import Request
from ct_pipeline.sandbox.clevertap.uploads import Uploads

Handler = Callable[[Request], Answer]
MOST_DELETED = 100


class ClevertapApi:
    """Answers requests; :meth:`answer` is the way in."""

    def __init__(self, account: Account, faults: Faults, log: RequestLog) -> None:
        self.account, self.faults, self.log = account, faults, log
        self._dice = Dice(faults.seed)
        self._in_flight = InFlight(log.most_in_flight)
        self.reads = Reads(account, faults, self._dice)
        self._uploads = Uploads(account, faults, self._dice)
        self._routes = self._make_routes()
        self._authenticated_count = 0

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self._routes)

    async def answer(self, request: Request) -> Answer:
        """What the client gets, logged."""
        try:
            answer = await self._answer(request)
        except RefusedError as refusal:
            answer = refusal.answer
        seen_status = 0 if answer.is_lost else answer.status
        self.log.add(
            LoggedRequest(self.account.now(), request.method, request.path, seen_status, answer.code, **answer.counts)
        )
        return answer

    async def _answer(self, request: Request) -> Answer:
        routes = self._routes.get(request.path.rstrip("/"))
        if routes is None:
            return answers.fail(404, "Not found")
        if request.method not in routes:
            return answers.fail(405, "Method not allowed")
        api, handle = routes[request.method]
        with self._in_flight.call(api) as has_room:
            await asyncio.sleep(self._seconds(request))
            if not has_room:
                return self._busy()
            self._check_access(request)
            trouble = self._trouble(request, api)
            if trouble is not None:
                return trouble
            answer = handle(request)
            if answer.status == 200 and self._dice.hits(self.faults.lost_answers, request.identity()):
                return answer._replace(is_lost=True, counts={**answer.counts, "fault": "lost_answers"})
            return answer

    def _seconds(self, request: Request) -> float:
        is_slow = self._dice.hits(self.faults.slow_answers, request.identity())
        return self.faults.answer_seconds + (self.faults.slow_answer_seconds if is_slow else 0)

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

    def _make_routes(self) -> dict[str, dict[str, tuple[str, Handler]]]:
        """By path and method: the API whose limit counts, and what answers."""
        reads, both = self.reads, ("GET", "POST")
        return {
            "/v1/connect": {"GET": ("connect", self._connect)},
            "/1/profiles.json": dict.fromkeys(both, ("profiles", reads.profiles)),
            "/1/events.json": dict.fromkeys(both, ("events", reads.events)),
            "/1/profile.json": {"GET": ("profiles", reads.profile)},
            "/1/counts/profiles.json": dict.fromkeys(both, ("profile count", reads.count_profiles)),
            "/1/counts/events.json": dict.fromkeys(both, ("event count", reads.count_events)),
            "/1/upload": {"POST": ("upload", self._upload)},
            "/1/subscribe": {"POST": ("subscribe", lambda request: self._uploads.subscribe(request.json()))},
            "/1/disassociate": {"POST": ("disassociate", self._disassociate)},
            "/1/delete/profiles.json": {"POST": ("delete", self._delete)},
            "/1/demerge/profiles.json": {"POST": ("demerge", self._demerge)},
        }

    def _connect(self, request: Request) -> Answer:
        if not request.query.get("partner") or self.account.switches.unknown_partner == "refused":
            return answers.fail(400, "Partner is not valid")
        return answers.success({"status": "success"})

    def _upload(self, request: Request) -> Answer:
        return self._uploads.upload(request.json(), is_dry_run=request.query.get("dryRun", "0") in ("1", "true"))

    def _disassociate(self, request: Request) -> Answer:
        """Taken, and nothing comes of it: no pipeline that cleans addresses needs it (6.8)."""
        body = request.json()
        records = body.get("d", ()) if isinstance(body, dict) else ()
        return answers.success({"status": "success", "processed": len(records), "unprocessed": []})

    def _delete(self, request: Request) -> Answer:
        body = request.json()
        if not isinstance(body, dict) or ("identity" in body) == ("guid" in body):
            return answers.fail(400, "Exactly one of identity, guid is expected")
        find = self.account.by_identity if "identity" in body else self.account.by_object_id
        values = body.get("identity", body.get("guid"))
        values = values if isinstance(values, list) else [values]
        if len(values) > MOST_DELETED:
            return answers.fail(400, f"A maximum of {MOST_DELETED} profiles is allowed per request")
        for value in values:
            if (profile := find(str(value))) is not None:
                self.account.remove(profile)
        return answers.success({"status": "success"})

    def _demerge(self, request: Request) -> Answer:
        request.json()
        return answers.success({"status": "success"})
