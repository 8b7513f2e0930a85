"""Answers of the simulated API, byte for byte like recorded ones where there are any (12; pure)."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

JSON = "application/json;charset=utf-8"
HTML = "text/html; charset=utf-8"

NOTHING: Mapping[str, Any] = MappingProxyType({})

_PROXY_PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "</body>\r\n</html>\r\n"
)


class Answer(NamedTuple):
    """``code`` is that of the body, for the log; ``is_lost``: the client never gets to see it."""

    status: int
    body: bytes
    content_type: str = JSON
    code: int | None = None
    is_lost: bool = False
    counts: Mapping[str, Any] = NOTHING  # further fields of LoggedRequest


class RefusedError(Exception):
    """The request ends here, with ``answer``."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def success(payload: Mapping[str, object], **counts: int | bool) -> Answer:
    return Answer(200, _spaced(payload), counts=counts)


def page(payload: Mapping[str, object]) -> Answer:
    records = payload["records"]
    assert isinstance(records, list)
    written = json.dumps(payload, ensure_ascii=False)
    return Answer(200, _encoded(written), counts={"record_count": len(records)})


def fail(status: int, text: str, code: int | None = None, *, fault: str = "") -> Answer:
    """``{ "status" : "fail" , "error" : "Account ID is not valid" , "code" : 401}`` and its like."""
    code = status if code is None else code
    return Answer(status, _spaced({"status": "fail", "error": text, "code": code}), code=code, counts={"fault": fault})


def text(status: int, words: str, *, fault: str = "") -> Answer:
    return Answer(status, words.encode(), "text/plain; charset=utf-8", counts={"fault": fault})


def proxy_page() -> Answer:
    return Answer(502, _PROXY_PAGE.encode(), HTML, counts={"fault": "html_bodies"})


def malformed(*, fault: str = "") -> Answer:
    return fail(400, "Malformed request", fault=fault)


def _spaced(payload: Mapping[str, object]) -> bytes:
    """JSON as CleverTap writes it, with spaces around most tokens."""
    written = json.dumps(payload, ensure_ascii=False, separators=(" , ", " : "))
    if written.endswith(": []}"):
        written = f"{written[:-3]}[ ]}}"
    return _encoded("{ " + written[1:])


def _encoded(written: str) -> bytes:
    """UTF-8; half a surrogate pair that someone uploaded becomes an escape again."""
    return written.encode(errors="backslashreplace")
