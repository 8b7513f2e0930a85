"""The simulated API as an HTTP server: Starlette hands the requests over, uvicorn speaks the protocol."""

import asyncio
import json
import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.clevertap.answers import Answer
from ct_pipeline.sandbox.clevertap.api import ClevertapApi, Request
from ct_pipeline.sandbox.clevertap.control import Control

ADDRESS = "127.77.0.2"
ENDS_WITHIN_SECONDS = 1


class ClevertapServer:
    """Listens between ``start`` and ``stop``; port 0 takes a free one."""

    def __init__(self, api: ClevertapApi, *, address: str = ADDRESS, port: int = 0) -> None:
        self.address, self.port = address, port
        self._application = application(api)
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises SettingsError when the port is taken; names the flag."""
        listener = socket.socket(
            socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
        )  # named: asyncio turns Nagle off
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.address, self.port))
        except OSError as error:
            listener.close()
            raise SettingsError(
                f"--clevertap-port {self.port} on {self.address}: {error.strerror or error}. "
                "Choose another port, or 0 for any free one."
            ) from None
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._application,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,  # the simulated clock says it
            timeout_graceful_shutdown=ENDS_WITHIN_SECONDS,
        )
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]), name="clevertap")
        await self._server.is_up.wait()

    async def stop(self) -> None:
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        self._server.shall_end.set()
        await asyncio.gather(self._serving, return_exceptions=True)
        logging.getLogger("uvicorn.error").removeFilter(_is_news)
        self._server = self._serving = None


def _is_news(record: logging.LogRecord) -> bool:
    """uvicorn complains of the answers that we break off on purpose."""
    return "without completing response" not in record.getMessage()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up, self.shall_end = asyncio.Event(), asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    async def main_loop(self) -> None:
        """uvicorn's looks ten times a second whether it is over."""
        await self.shall_end.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to whoever runs the sandbox."""
        yield


def application(api: ClevertapApi) -> Starlette:
    """The ASGI application: CleverTap's paths, and those of the sandbox below ``/sandbox``."""

    async def clevertap(request: HttpRequest) -> Response:
        headers = dict(request.headers)
        raw_query = request.scope["query_string"].decode("latin-1")
        asked = Request(request.method, request.url.path, raw_query, headers, await request.body())
        return _Wire(await api.answer(asked), api.account.now())

    every_method = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return Starlette(routes=[*_control_routes(Control(api)), Route("/{path:path}", clevertap, methods=every_method)])


class _Wire(Response):
    """An answer; a lost one breaks off after the head, as a connection does that a proxy gives up."""

    def __init__(self, answer: Answer, now: float) -> None:
        headers = {"content-type": answer.content_type, "date": formatdate(now, usegmt=True)}
        super().__init__(answer.body, answer.status, headers)
        self._is_lost = answer.is_lost

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_lost:
            # uvicorn closes the connection of an application that returns with the body still owed
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        else:
            await super().__call__(scope, receive, send)


def _control_routes(control: Control) -> list[Route]:
    def told(change: Any) -> Any:
        async def endpoint(request: HttpRequest) -> Response:
            try:
                body = await request.json() if request.method == "POST" and await request.body() else {}
                return JSONResponse(change(body if isinstance(body, dict) else {}, request.query_params))
            except (SettingsError, TypeError, json.JSONDecodeError) as error:
                return JSONResponse({"error": str(error)}, status_code=400)

        return endpoint

    def opt(is_out: bool) -> Any:
        def change(body: Mapping[str, Any], _query: Mapping[str, str]) -> object:
            wanted = {"object_id" if name == "objectId" else name: value for name, value in body.items()}
            return {"profile_count": control.opt(is_out, **wanted)}

        return change

    def expire(_body: object, _query: object) -> object:
        control.expire_cursors()
        return {}

    return [
        Route("/sandbox/state", told(lambda _, query: control.state(query.get("identity"), query.get("email")))),
        Route("/sandbox/requests", told(lambda _, __: control.requests())),
        Route("/sandbox/opt-out", told(opt(True)), methods=["POST"]),
        Route("/sandbox/opt-in", told(opt(False)), methods=["POST"]),
        Route("/sandbox/faults", told(lambda body, _: control.change(dict(body))), methods=["GET", "POST"]),
        Route("/sandbox/expire-cursors", told(expire), methods=["POST"]),
    ]
