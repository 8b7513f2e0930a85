"""One request to the simulated API, read."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from ct_pipeline.sandbox.clevertap import answers
from ct_pipeline.sandbox.clevertap.answers import RefusedError


class Request:
    """``query`` holds the query string's values, decoded, ``raw_query`` what was in the URL."""

    def __init__(self, method: str, path: str, raw_query: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method, self.path, self.raw_query = method, path, raw_query
        self.headers, self.body = headers, body
        self.query = dict(parse_qsl(raw_query, keep_blank_values=True))

    @property
    def raw_cursor(self) -> str | None:
        """The cursor as it stood in the URL."""
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
