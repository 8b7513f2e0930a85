"""A client of the simulator's own paths: what a test, or the demo, does to an account in another process."""

from collections.abc import Mapping
from typing import Any

import httpx

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.clevertap.log import LoggedRequest

TIMEOUT_SECONDS = 60


class RemoteClevertap:
    """The methods of :class:`~ct_pipeline.sandbox.clevertap.simulator.CleverTapSimulator`, over HTTP."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    @property
    def requests(self) -> list[LoggedRequest]:
        return [LoggedRequest(**request) for request in self._ask("GET", "requests")]

    def state(self, identity: str | None = None, email: str | None = None) -> list[dict[str, Any]]:
        wanted = {"identity": identity, "email": email}
        return self._ask("GET", "state", {name: value for name, value in wanted.items() if value is not None})

    def opt_out(self, **who_and_how: object) -> int:
        """Keywords: ``identity``, ``object_id`` or ``email``; ``level``; ``properties``."""
        return self._ask("POST", "opt-out", body=who_and_how)["profile_count"]

    def opt_in(self, **who_and_how: object) -> int:
        return self._ask("POST", "opt-in", body=who_and_how)["profile_count"]

    def set_faults(self, **changes: object) -> dict[str, Any]:
        """Faults and switches by name; what all of them are now."""
        return self._ask("POST", "faults", body=changes)

    def expire_cursors(self) -> None:
        self._ask("POST", "expire-cursors", body={})

    def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, object] | None = None
    ) -> Any:
        """Raises SettingsError with the simulator's words when it refuses."""
        with httpx.Client(base_url=self.base_url, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            answer = client.request(method, f"/sandbox/{path}", params=query, json=body)
        if answer.status_code != httpx.codes.OK:
            raise SettingsError(answer.json()["error"])
        return answer.json()
