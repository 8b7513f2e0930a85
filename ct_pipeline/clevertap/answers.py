"""What one HTTP answer of the API means (pure). The envelope, its codes and texts: reference, sections 3 and 12.

CleverTap answers 200 where records of an upload were refused, 200 or 202 where an export is still being prepared, and
sometimes not in JSON at all; so status code, code of the body and text are read together.
"""

import re
from dataclasses import dataclass

from ct_pipeline.clevertap.json_bodies import parse_json
from ct_pipeline.errors import (
    AudienceError,
    CleverTapRefusedError,
    CredentialsError,
    NotAllowedError,
    PermanentError,
)

LONGEST_QUOTE = 200  # characters of CleverTap's words that an error repeats
_PROXY = "Something between this machine and CleverTap answers in its place: look at proxies, firewalls, CT_BASE_URL."
_ADDRESS = re.compile(r"[^\s\"'<>,;:()\[\]{}=]+@[^\s\"'<>,;:()\[\]{}=]+")


@dataclass(frozen=True, slots=True)
class Success:
    """The payload is what was asked for, or what became of each record."""

    payload: dict[str, object]


@dataclass(frozen=True, slots=True)
class NotReady:
    """Understood, and still being prepared: ask the same again."""

    what: str


@dataclass(frozen=True, slots=True)
class Busy:
    """Too many calls at once: ask the same again, later."""

    what: str
    asked_seconds: float | None = None  # Retry-After, should there be one


@dataclass(frozen=True, slots=True)
class Trouble:
    """No usable answer; the same call may succeed later."""

    what: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class StaleCursor:
    """The cursor is gone, or was damaged on its way."""

    what: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """There is no such record."""

    what: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Asking again changes nothing."""

    error: PermanentError


Answer = Success | NotReady | Busy | Trouble | StaleCursor | NotFound | Refused


def answer_of(status: int, body: bytes, retry_after: str = "") -> Answer:
    """What an answer with this status code and body means. Never raises, whatever the body."""
    payload = _payload(body)
    text = _words_of(payload) if payload is not None else ""
    code = _code(payload)
    said = quoted(text) if text else f"HTTP {status}, {_look_of(body, payload)}"
    if status == 429 or code in (1, 429) or "too many concurrent" in text.lower():
        return Busy(said, _seconds(retry_after))
    if code == 2:
        return NotReady(said)
    if (refused := _credentials(status, code, text, said)) is not None:
        return refused
    if status == 202 and "processed" not in (payload or {}):
        return NotReady(said)
    if payload is None:
        return _without_json(status, body, said)
    if 200 <= status < 300 and not _is_fail(payload):
        return Success(payload)
    return _failure(status, code, text, said)


def quoted(text: str) -> str:
    """CleverTap's words, fit to be shown: one line, bounded, without control characters and mail addresses."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text[:2000]).split())
    masked = _ADDRESS.sub("•••@•••", line)
    return masked if len(masked) <= LONGEST_QUOTE else f"{masked[: LONGEST_QUOTE - 1]}…"


def _credentials(status: int, code: int | None, text: str, said: str) -> Refused | None:
    low = text.lower()
    if "account blocked" in low:
        mend = "The project seems to live in another region: CT_REGION is the first part of the dashboard's address."
        return Refused(CredentialsError(f"CleverTap does not know this project here: {said}. {mend}"))
    if 401 in (status, code):
        if "expire" in low:
            mend = "The passcode has expired: make a new one, best without an end, and set CT_PASSCODE."
        elif "account id" in low:
            mend = "Compare CT_PROJECT_ID with Settings → Project, and CT_REGION with the dashboard's address."
        else:
            mend = (
                "Compare CT_PROJECT_ID and CT_PASSCODE with Settings → Project (a passcode can also have expired), "
                "and CT_REGION with the dashboard's address."
            )
        return Refused(CredentialsError(f"CleverTap refuses the credentials: {said}. {mend}"))
    if 403 in (status, code):
        mend = "If the project restricts IP addresses, add this machine's; a proxy or firewall may refuse as well."
        return Refused(NotAllowedError(f"CleverTap does not allow this call: {said}. {mend}"))
    return None


def _without_json(status: int, body: bytes, said: str) -> Answer:
    if status == 404 and not body.strip():
        return NotFound(said)
    if 300 <= status < 400:
        return Trouble(f"{said}: a redirect, which is not followed because the passcode would go along", _PROXY)
    return Trouble(said, _PROXY if _is_html(body) or status == 407 else "")


def _failure(status: int, code: int | None, text: str, said: str) -> Answer:
    low = text.lower()
    if "incorrect usage" in low:
        return StaleCursor(said)
    if code == 4002 or ("future" in low and status in (200, 400)):
        mend = "Its last day must be over where the project is: compare CT_TIMEZONE with the project, and the clock."
        return Refused(AudienceError(f"CleverTap refuses a query that reaches into the future: {said}. {mend}"))
    if status >= 500 or code == 555 or (code is not None and 500 <= code < 509):
        return Trouble(said)
    if "malformed request" in low:  # CleverTap's own uploader repeats it: it is met on bodies that are in order
        return Trouble(said)
    if status == 404 or code == 404 or "not found" in low:
        return NotFound(said)
    return Refused(CleverTapRefusedError(f"CleverTap refused the call: {said} (HTTP {status}, code {code})."))


def _payload(body: bytes) -> dict[str, object] | None:
    try:
        parsed = parse_json(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _is_fail(payload: dict[str, object]) -> bool:
    """An upload of which every record was refused says "fail" too; its payload still answers for each record."""
    if "unprocessed" in payload and "processed" in payload:
        return False
    return payload.get("status") == "fail" or (
        payload.get("status") not in ("success", "partial") and bool(payload.get("error"))
    )


def _words_of(payload: dict[str, object]) -> str:
    if not _is_fail(payload) and payload.get("status") in ("success", "partial"):
        return ""
    for key in ("error", "message"):
        words = payload.get(key)
        if isinstance(words, str) and words.strip():
            return words
    return ""


def _code(payload: dict[str, object] | None) -> int | None:
    if payload is None or not _is_fail(payload):
        return None
    code = payload.get("code")
    if isinstance(code, str) and re.fullmatch(r"\d{1,5}", code.strip()):
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) and 0 <= code < 100_000 else None


def _look_of(body: bytes, payload: dict[str, object] | None) -> str:
    if payload is not None:
        return "without a text"
    if not body.strip():
        return "an empty answer"
    if _is_html(body):
        title = re.search(rb"<title[^>]*>(.{1,200}?)</title>", body[:20_000], re.IGNORECASE | re.DOTALL)
        words = quoted(title[1].decode("utf-8", "replace")) if title else ""
        return f"an HTML page ({words})" if words else "an HTML page"
    return "an answer that is not a JSON object"


def _is_html(body: bytes) -> bool:
    return bool(re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|body|\?xml|!--)", body[:1000], re.IGNORECASE))


def _seconds(retry_after: str) -> float | None:
    """Of a Retry-After header in seconds; its form as a date is ignored."""
    return float(retry_after) if re.fullmatch(r"\d{1,6}", retry_after.strip()) else None
