"""Every call of the API that we make, as a value: method, path, parameters, body, and how much it may answer (pure)."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode

from ct_pipeline.clevertap.paging import query_string
from ct_pipeline.clevertap.parsing import profile_of
from ct_pipeline.clevertap.records import Identifier, Profile

MEBIBYTE = 1024**2
MOST_PAGE_BYTES = 128 * MEBIBYTE  # 5000 profiles of 25 KiB; custom properties alone can reach 160 KiB in one profile
MOST_ANSWER_BYTES = 32 * MEBIBYTE  # 1000 refused records come back whole


class Api(StrEnum):
    """CleverTap counts calls in flight separately for each of these."""

    PROFILES = "Get User Profiles"
    EVENTS = "Get Events"
    COUNTS = "Get Profile Count"
    UPLOAD = "Upload User Profiles"
    SUBSCRIBE = "Subscribe"
    CONNECT = "Connect"

    @property
    def is_write(self) -> bool:
        return self in (Api.UPLOAD, Api.SUBSCRIBE)

    @property
    def is_data(self) -> bool:
        """Its successful answers are records of users, not words of CleverTap's."""
        return self in (Api.PROFILES, Api.EVENTS)


class Exported(StrEnum):
    """What exports are of; the values are in the paths."""

    PROFILES = "profiles"
    EVENTS = "events"

    @property
    def api(self) -> Api:
        return Api.PROFILES if self is Exported.PROFILES else Api.EVENTS


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``query`` is sent as it stands here. The repr shows neither it nor the body: both hold addresses."""

    api: Api
    what: str  # in words, for errors and logs
    method: str
    path: str
    query: str = ""
    body: bytes | None = None
    most_bytes: int = MOST_ANSWER_BYTES
    has_cursor: bool = False

    def __repr__(self) -> str:
        return f"<{self.method} {self.path}>"


def connect() -> Call:
    """The partners' check of credentials; whether names of partners it does not know pass is undocumented."""
    return Call(Api.CONNECT, "the check of the connection", "GET", "/v1/connect", "partner=ct_pipeline")


def open_export(exported: Exported, query: Mapping[str, object], page_size: int) -> Call:
    wanted = {
        "batch_size": str(page_size),
        "app": "false",
        "events": "true" if exported is Exported.PROFILES else "false",
        "profile": "true",  # said explicitly: its default has changed over the years
    }
    what = f"the opening of an export of {exported}"
    return Call(exported.api, what, "POST", f"/1/{exported}.json", urlencode(wanted), _json(query))


def fetch_page(exported: Exported, cursor: str) -> Call:
    return Call(
        exported.api,
        f"a page of an export of {exported}",
        "GET",
        f"/1/{exported}.json",
        query_string(cursor),
        most_bytes=MOST_PAGE_BYTES,
        has_cursor=True,
    )


def look_up(identifier: Identifier) -> Call:
    query = urlencode({identifier.kind.value: identifier.value})
    return Call(Api.PROFILES, "the look-up of a profile", "GET", "/1/profile.json", query)


def count(query: Mapping[str, object]) -> Call:
    return Call(Api.COUNTS, "a count of profiles", "POST", "/1/counts/profiles.json", body=_json(query))


def poll_count(request_id: str) -> Call:
    query = urlencode({"req_id": request_id})
    return Call(Api.COUNTS, "a count of profiles", "GET", "/1/counts/profiles.json", query)


def upload(records: Sequence[Mapping[str, object]]) -> Call:
    what = f"an upload of {len(records)} records"
    return Call(Api.UPLOAD, what, "POST", "/1/upload", body=_json({"d": records}))


def subscribe(records: Sequence[Mapping[str, object]]) -> Call:
    what = f"a change of {len(records)} subscriptions"
    return Call(Api.SUBSCRIBE, what, "POST", "/1/subscribe", body=_json({"d": records}))


def profile_in(payload: Mapping[str, object]) -> Profile | None:
    """The profile that a look-up answers with; None: ``record`` is null or empty.

    Raises:
        ValueError: it is neither.
    """
    if "record" not in payload and payload.get("status") != "success":
        raise ValueError("an answer without a record")
    record = payload.get("record")
    return profile_of(record) if record else None


def count_in(payload: Mapping[str, object]) -> int | str:
    """The count, or the id to ask for it later. The id is opaque: a number beyond 2^53, or a text.

    Raises:
        ValueError: neither of them.
    """
    counted = payload.get("count")
    if (
        payload.get("status") != "partial"
        and isinstance(counted, int)
        and not isinstance(counted, bool)
        and counted >= 0
    ):
        return counted
    request_id = payload.get("req_id")
    if isinstance(request_id, int) and not isinstance(request_id, bool) and request_id.bit_length() <= 600:
        return str(request_id)
    if isinstance(request_id, str) and re.fullmatch(r"[\x21-\x7e]{1,200}", request_id):
        return request_id
    raise ValueError("an answer without a count")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
