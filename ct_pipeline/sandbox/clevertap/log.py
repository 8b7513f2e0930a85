"""What the simulated API was asked, so that a test or a person can count it. It holds no passcode and no address."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request and its answer. ``at`` is in Unix seconds; ``status`` 0: the connection ended without an answer."""

    at: float
    method: str
    path: str
    status: int
    code: int | None = None  # in the body of the answer, or None
    record_count: int = 0  # records in an upload, or in the page of an export
    processed_count: int = 0
    made_profile_count: int = 0  # profiles that did not exist before the upload
    named_by_email_count: int = 0  # records whose identity looks like an address: a write by e-mail
    is_dry_run: bool = False
    fault: str = ""  # of the simulator: why the answer is not what the request deserved


class RequestLog:
    """Keeps every request, and appends it to ``path`` as a JSON line when there is one."""

    def __init__(self, path: Path | None = None) -> None:
        self.requests: list[LoggedRequest] = []
        self.most_in_flight: Counter[str] = Counter()  # by API
        self._file = path.open("a", encoding="utf-8") if path else None

    def add(self, request: LoggedRequest) -> None:
        self.requests.append(request)
        if self._file is not None:
            self._file.write(json.dumps(asdict(request)) + "\n")
            self._file.flush()

    def count(self, method: str, path: str) -> int:
        """How often this was asked, whatever the answer."""
        return sum(request.method == method and request.path == path for request in self.requests)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
