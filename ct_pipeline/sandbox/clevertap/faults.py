"""What can go wrong with the simulated API, and what nobody knows of the real one: each a setting.

``Faults`` are troubles that every client meets sooner or later; the same seed draws the same ones. ``Switches`` are the
behaviours that no public document settles: a client has to live with each of their values. Both can be changed while
the simulator runs.
"""

import json
from random import Random
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ct_pipeline.errors import SettingsError

Rate = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]

MOST_HITS = 3


def _told(default: Any, meaning: str) -> Any:
    """A field with its default and what docs/reference says of it."""
    return Field(default, description=meaning)


class _Changeable(BaseModel):
    model_config = ConfigDict(validate_assignment=True, extra="forbid")


class Faults(_Changeable):
    """Troubles. A rate is the share of the requests (or records) that meet it; a count is used up."""

    seed: int = _told(0, "Other accidents.")
    answer_seconds: Seconds = _told(0.002, "What a call takes at least.")
    slow_answers: Rate = _told(0.0, "Calls that take `slow_answer_seconds` longer.")
    slow_answer_seconds: Seconds = _told(5.0, "How much longer.")
    server_errors: Rate = _told(0.0, "500 or 503; nothing was done.")
    html_bodies: Rate = _told(0.0, "502 with the page of a proxy; nothing was done.")
    lost_answers: Rate = _told(0.0, "The call was carried out, but the connection ends before the answer.")
    busy_answers: Rate = _told(0.0, "429 although the limit was kept: others use the account too.")
    malformed_uploads: Rate = _told(0.0, "400 `Malformed request` for a good upload; a later attempt passes.")
    record_errors: Rate = _told(0.0, "Code 555 for a good record of an upload; a later attempt passes.")
    throttled_exports: Rate = _told(0.0, "Code 1 when a cursor is asked for.")
    empty_pages: Rate = _told(0.0, "A page without records in mid-stream.")
    duplicates: Rate = _told(0.0, "Records of a page that come again on the next one.")
    not_ready_fetches: Count = _told(0, "Code 2 for so many first fetches of each cursor.")
    not_ready_status: Literal[200, 202] = _told(200, "HTTP status of that answer.")
    empty_exports: Count = _told(0, "So many exports turn out entirely empty.")
    stale_cursors: Count = _told(0, "So many exports of several pages lose their cursor after the first.")
    count_polls: Count = _told(0, "A count is answered after so many polls of its `req_id`.")
    ignored_properties: tuple[str, ...] = _told((), "Names taken and never stored, as with a published schema.")
    is_forbidden: bool = _told(False, "403: the account lets only listed addresses in.")
    is_wrong_region: bool = _told(False, "401: the account lives in another region.")
    is_passcode_expired: bool = _told(False, "401 from now on.")
    passcode_expires_after: Count | None = _told(None, "Calls until the passcode expires.")
    clock_offset_seconds: float = _told(0.0, "The API's clock against this machine's.")


class Switches(_Changeable):
    """What is not known of the real API. The defaults are the likeliest or the strictest."""

    not_found: Literal["null", "404", "fail"] = _told("null", "`profile.json`: who is not there.")
    shared_email: Literal["first", "last"] = _told("first", "`profile.json?email=`: which of those who share it.")
    too_many_requests_body: Literal["json", "text"] = _told("json", "Body of a 429.")
    wrong_passcode_text: str = _told("Invalid Credentials", "Error text of a wrong or expired passcode.")
    wrong_region_text: str = _told("Account ID is not valid", "Error text of the wrong region.")
    stale_cursor_status: Literal[200, 400] = _told(400, "HTTP status of `Incorrect Usage`.")
    future_status: Literal[200, 400] = _told(400, "HTTP status of error 4002, a `to` in the future.")
    unknown_event: Literal["nobody", "refused"] = _told("nobody", "Queries for an event that was never raised.")
    empty_upload: Literal["success", "malformed"] = _told("malformed", "Uploads without a record.")
    large_batch_size: Literal["capped", "refused"] = _told("capped", "A `batch_size` above 5000.")
    default_batch_size: Annotated[int, Field(ge=1, le=5000)] = _told(10, "The page size when none is asked for.")
    eventless_profiles: Literal["hidden", "exported"] = _told("hidden", "Profiles without an event in 365 days.")
    eventless_counts: Literal["refused", "answered"] = _told("refused", "`counts` for a query without `event_name`.")
    reachable_by_counts: bool = _told(True, "Whether `Reachable By` is an event in that sense.")
    shows_subscription: bool = _told(False, "Whether reads show `MSG-email` in `profileData`.")
    has_case_sensitive_addresses: bool = _told(True, "Whether `/1/subscribe` and `?email=` tell spellings apart.")
    has_case_sensitive_properties: bool = _told(True, "Whether `plan` and `Plan` are two properties.")
    delete_operator: Literal["applied", "ignored", "stored"] = _told("applied", '`{"$delete": true}` on `/1/upload`.')
    other_operators: Literal["applied", "ignored", "stored"] = _told("applied", "`$add`, `$remove`, `$set`, `$incr`.")
    null_values: Literal["ignored", "delete", "stored"] = _told("ignored", "`null` as a property's value.")
    long_values: Literal["dropped", "truncated"] = _told("dropped", "Values above 512 bytes.")
    flag_raises_event: bool = _told(True, "Whether `MSG-` flags on `/1/upload` raise `Channel Unsubscribed`.")
    repeat_raises_event: bool = _told(True, "Whether opting out who is out already raises it again.")
    event_booleans: Literal["bool", "text"] = _told("bool", "How that event writes `Resubscribed`.")
    unknown_partner: Literal["accepted", "refused"] = _told("accepted", "`/v1/connect` for an unregistered partner.")
    propagation_seconds: Seconds = _told(0.0, "Until reads show what an upload wrote.")
    event_delay_seconds: Seconds = _told(0.0, "Until reads and exports show an event.")
    profile_cursor_seconds: Seconds = _told(345_600.0, "Lifetime of a cursor over profiles.")
    event_cursor_seconds: Seconds = _told(14_400.0, "Lifetime of a cursor over events.")
    event_cursor_idle_seconds: Seconds = _told(3_600.0, "How long such a cursor may be unused.")


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
            _set(target, name, value)


def _set(target: _Changeable, name: str, value: object) -> None:
    """A value that does not fit may be a word that looks like another type in JSON, such as ``404`` or ``null``."""
    try:
        setattr(target, name, value)
    except ValidationError as error:
        try:
            setattr(target, name, json.dumps(value))
        except (ValidationError, TypeError):
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
