"""What can go wrong with the simulated API, and what nobody knows of the real one: each a setting.

``Faults`` are troubles that every client meets sooner or later; the same seed draws the same ones. ``Switches`` are the
behaviours that no public document settles: a client has to live with each of their values. Both can be changed while
the simulator runs.
"""

from random import Random
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ct_pipeline.errors import SettingsError

Rate = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]

MOST_HITS = 3


class _Changeable(BaseModel):
    model_config = ConfigDict(validate_assignment=True, extra="forbid")


class Faults(_Changeable):
    """Troubles. A rate is the share of the requests (or records) that meet it; a count is used up."""

    seed: int = 0
    answer_seconds: Seconds = 0.002  # what a call takes at least
    server_errors: Rate = 0.0  # 500 or 503, and nothing was done
    html_bodies: Rate = 0.0  # 502 with a page of a proxy, and nothing was done
    lost_answers: Rate = 0.0  # what was asked for was done, but the connection ends before the answer
    busy_answers: Rate = 0.0  # 429 although the limit was kept: someone else uses the same account
    malformed_uploads: Rate = 0.0  # 400 "Malformed request" for a good upload; the next attempt passes
    record_errors: Rate = 0.0  # code 555 for one record of an upload
    throttled_exports: Rate = 0.0  # code 1 when a cursor is asked for
    empty_pages: Rate = 0.0  # a page without records in mid-stream
    duplicates: Rate = 0.0  # records of a page that come again on the next one
    not_ready_fetches: Count = 0  # code 2 for the first fetches of each cursor
    not_ready_status: Literal[200, 202] = 200
    empty_exports: Count = 0  # so many exports turn out entirely empty
    stale_cursors: Count = 0  # so many exports lose their cursor after the first page
    count_polls: Count = 0  # a count is answered after so many polls of its req_id
    ignored_properties: tuple[str, ...] = ()  # taken and never stored, as by a published schema
    is_forbidden: bool = False  # 403: the account lets only listed addresses in
    is_wrong_region: bool = False  # 401: the account lives elsewhere
    is_passcode_expired: bool = False
    passcode_expires_after: Count | None = None  # requests until then
    clock_offset_seconds: float = 0.0  # of the API's clock against this machine's


class Switches(_Changeable):
    """What is not known of the real API. The defaults are the likeliest or the strictest."""

    not_found: Literal["null", "404", "fail"] = "null"  # answer of /1/profile.json
    shared_email: Literal["first", "last"] = "first"  # which profile ?email= finds
    too_many_requests_body: Literal["json", "text"] = "json"
    wrong_passcode_text: str = "Invalid Credentials"
    wrong_region_text: str = "Account ID is not valid"
    stale_cursor_status: Literal[200, 400] = 400
    future_status: Literal[200, 400] = 400  # of error 4002
    unknown_event: Literal["nobody", "refused"] = "nobody"  # a query for an event that was never raised
    empty_upload: Literal["success", "malformed"] = "malformed"
    large_batch_size: Literal["capped", "refused"] = "capped"  # above 5000
    default_batch_size: Annotated[int, Field(ge=1, le=5000)] = 10
    eventless_profiles: Literal["hidden", "exported"] = "hidden"  # in the people export
    reachable_by_counts: bool = True  # as an event of the past 365 days
    shows_subscription: bool = False  # MSG-email in profileData on read
    has_case_sensitive_addresses: bool = True  # /1/subscribe and ?email=
    has_case_sensitive_properties: bool = True
    delete_operator: Literal["applied", "ignored", "stored"] = "applied"  # {"$delete": true} on /1/upload
    other_operators: Literal["applied", "ignored", "stored"] = "applied"  # $add, $remove, $set, $incr, $decr
    null_values: Literal["ignored", "delete", "stored"] = "ignored"
    long_values: Literal["dropped", "truncated"] = "dropped"  # above 512 bytes
    flag_raises_event: bool = True  # MSG-email and MSG-dndEmail on /1/upload raise Channel Unsubscribed
    repeat_raises_event: bool = True  # as does /1/subscribe for who is in that state already
    event_booleans: Literal["bool", "text"] = "bool"  # the Resubscribed property
    unknown_partner: Literal["accepted", "refused"] = "accepted"  # GET /v1/connect
    propagation_seconds: Seconds = 0.0  # until a read shows what an upload wrote
    event_delay_seconds: Seconds = 0.0  # until an export shows an event
    profile_cursor_seconds: Seconds = 345_600.0
    event_cursor_seconds: Seconds = 14_400.0
    event_cursor_idle_seconds: Seconds = 3_600.0


FAULT_PROFILES = ("none", "mild", "harsh")


def fault_profile(name: str, seed: int = 0) -> Faults:
    """``none``: an API on a good day; ``mild``: on a usual one; ``harsh``: everything at once, as no real one is.

    Raises:
        SettingsError: there is no such profile.
    """
    match name:
        case "none":
            return Faults(seed=seed)
        case "mild":
            return Faults(
                seed=seed,
                server_errors=0.01,
                busy_answers=0.01,
                empty_pages=0.1,
                duplicates=0.005,
                not_ready_fetches=1,
                count_polls=1,
            )
        case "harsh":
            return Faults(
                seed=seed,
                server_errors=0.08,
                html_bodies=0.04,
                lost_answers=0.06,
                busy_answers=0.08,
                malformed_uploads=0.05,
                record_errors=0.01,
                throttled_exports=0.2,
                empty_pages=0.3,
                duplicates=0.05,
                not_ready_fetches=2,
                not_ready_status=202,
                empty_exports=1,
                stale_cursors=1,
                count_polls=2,
            )
    raise SettingsError(f"--faults {name}: one of {', '.join(FAULT_PROFILES)}")


def change_settings(faults: Faults, switches: Switches, changes: dict[str, object]) -> None:
    """Set what ``changes`` names; all of it, or nothing when something does not fit.

    Raises:
        SettingsError: a name that neither knows, or a value that does not fit; the text names it.
    """
    rehearsal = (faults.model_copy(), switches.model_copy())
    for objects in (rehearsal, (faults, switches)):
        for name, value in changes.items():
            target = next((target for target in objects if name in type(target).model_fields), None)
            if target is None:
                raise SettingsError(f"{name}: no fault and no switch of the simulator")
            try:
                setattr(target, name, value)
            except ValidationError as error:
                raise SettingsError(f"{name}: {error.errors()[0]['msg']}") from None


class Dice:
    """Draws faults. A request (with its retries) is hit :data:`MOST_HITS` times at most, so that patience pays."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 not for secrets
        self._hits: dict[object, int] = {}

    def hits(self, rate: float, request: object) -> bool:
        if not rate or self.random.random() >= rate:
            return False
        self._hits[request] = self._hits.get(request, 0) + 1
        return self._hits[request] <= MOST_HITS
