"""A CleverTap account to learn and test with: CleverTap's HTTP API on loopback, in memory."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

from ct_pipeline.sandbox.clevertap.account import REGION, Access, Account
from ct_pipeline.sandbox.clevertap.api import ClevertapApi
from ct_pipeline.sandbox.clevertap.control import Control, Level
from ct_pipeline.sandbox.clevertap.faults import Faults, Switches
from ct_pipeline.sandbox.clevertap.log import LoggedRequest, RequestLog
from ct_pipeline.sandbox.clevertap.profiles import NO_PROPERTIES, AccountProfile
from ct_pipeline.sandbox.clevertap.server import ADDRESS, ClevertapServer
from ct_pipeline.sandbox.in_thread import run_in_thread

T = TypeVar("T")


class CleverTapSimulator:
    """CleverTap's HTTP API with one account.

    ::

        profiles = [AccountProfile("cust-1", "anna@acme.test"), AccountProfile(email="bob@acme.test")]
        async with CleverTapSimulator(profiles) as clevertap:
            clevertap.environment  # CT_PROJECT_ID, CT_PASSCODE, CT_BASE_URL, ...
            clevertap.faults.server_errors = 0.1
            clevertap.opt_out(identity="cust-1")
            clevertap.state(email="anna@acme.test")

    Code without an event loop uses ``with CleverTapSimulator(profiles).run_in_thread() as clevertap``. The methods may
    be called from any thread.
    """

    def __init__(
        self,
        profiles: Iterable[AccountProfile] = (),
        *,
        faults: Faults | None = None,
        switches: Switches | None = None,
        access: Access | None = None,
        address: str = ADDRESS,
        port: int = 0,
        log_path: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.faults = faults or Faults()
        self.switches = switches or Switches()
        self._log_path = log_path
        self.account = Account(profiles, self.switches, lambda: clock() + self.faults.clock_offset_seconds, access)
        self.log = RequestLog()
        self._address, self._port = address, port
        self._server: ClevertapServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open()

    @property
    def base_url(self) -> str:
        port = self._server.port if self._server else self._port
        return f"http://{self._address}:{port}"

    @property
    def environment(self) -> dict[str, str]:
        """The CT_ variables that connect a pipeline with the account."""
        access = self.account.access
        return {
            "CT_PROJECT_ID": access.project_id,
            "CT_PASSCODE": access.passcode,
            "CT_REGION": REGION,
            "CT_BASE_URL": self.base_url,
            "CT_TIMEZONE": access.timezone,
        }

    @property
    def requests(self) -> list[LoggedRequest]:
        """Every request so far, in the order of the answers."""
        return self.log.requests

    def state(self, identity: str | None = None, email: str | None = None) -> list[dict[str, object]]:
        """The truth about every profile, or those with this identity or address."""
        return self._there(lambda: self._control.state(identity, email))

    def opt_out(
        self,
        *,
        identity: str | None = None,
        object_id: str | None = None,
        email: str | None = None,
        level: Level = "account",
        properties: Mapping[str, object] = NO_PROPERTIES,
    ) -> int:
        """A user clicks unsubscribe; how many profiles that is about. See :meth:`Control.opt`."""
        return self._there(
            lambda: self._control.opt(
                True, identity=identity, object_id=object_id, email=email, level=level, properties=properties
            )
        )

    def opt_in(
        self,
        *,
        identity: str | None = None,
        object_id: str | None = None,
        email: str | None = None,
        level: Level = "account",
    ) -> int:
        """A user subscribes again."""
        return self._there(
            lambda: self._control.opt(False, identity=identity, object_id=object_id, email=email, level=level)
        )

    def set_faults(self, **changes: object) -> None:
        """Set faults and switches by name. Raises SettingsError naming what does not fit."""
        self._there(lambda: self._control.change(changes))

    def expire_cursors(self) -> None:
        self._there(self._control.expire_cursors)

    async def __aenter__(self) -> Self:
        """Raises SettingsError when the port is taken."""
        if self._log_path is not None:
            self.log = RequestLog(self._log_path)
            self._open()
        self._loop = asyncio.get_running_loop()
        self._server = ClevertapServer(self._api, address=self._address, port=self._port)
        await self._server.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._loop = None
        if self._server is not None:
            await self._server.stop()
        self.log.close()

    @contextmanager
    def run_in_thread(self) -> "Iterator[Self]":
        """The same from code without an event loop: it runs in a thread of its own until the block ends."""
        with run_in_thread(self, "ct-clevertap"):
            yield self

    def _open(self) -> None:
        self._api = ClevertapApi(self.account, self.faults, self.log)
        self._control = Control(self._api)

    def _there(self, ask: Callable[[], T]) -> T:
        """``ask()``, in the thread that serves the requests."""
        loop = self._loop
        if loop is None or _running_loop() is loop:
            return ask()

        async def asked() -> T:
            return ask()

        return asyncio.run_coroutine_threadsafe(asked(), loop).result()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
