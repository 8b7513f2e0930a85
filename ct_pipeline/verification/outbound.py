"""A connected socket to a mail host: straight, from an address of ours, or through our SOCKS5 proxy.

What fails on our side of the way is told from what the host does: a proxy that is down must not make hosts look dead.
"""

import asyncio
import contextlib
import errno
import os
import socket
from urllib.parse import urlsplit

from pydantic import SecretStr
from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError
from python_socks.async_.asyncio import Proxy

PROXY_GREETS_WITHIN_SECONDS = 5.0
# Linux: the port is chosen when connecting, so that an address of ours can use each of its ports once for every host.
_BIND_ADDRESS_NO_PORT = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)

# What the proxy says of the host (RFC 1928 section 6), as the system would have said it. Every other code, such as 1
# (general failure) and 2 (not allowed by ruleset), is about the proxy.
_ABOUT_THE_HOST = {
    3: (errno.ENETUNREACH, "the network is unreachable for our proxy"),
    4: (errno.EHOSTUNREACH, "the host is unreachable for our proxy"),
    5: (errno.ECONNREFUSED, "connection refused"),
    6: (errno.ETIMEDOUT, "connection timed out"),
    8: (errno.ENETUNREACH, "our proxy does not connect to such addresses"),  # IPv6, mostly
}


class EgressTroubleError(Exception):
    """Our source address or our proxy failed, not the host. The text says what, without a secret."""


async def connect_socket(
    address: str, port: int, seconds: float, source_address: str | None = None, proxy: SecretStr | None = None
) -> socket.socket:
    """A non-blocking socket, connected to ``address`` within ``seconds``.

    Raises:
        OSError: the host cannot be reached.
        EgressTroubleError: our side failed, which says nothing of the host.
    """
    if proxy is None:
        return await _connect_straight(address, port, seconds, source_address)
    connected = await _connect_through(proxy.get_secret_value(), address, port, seconds)
    with contextlib.suppress(OSError):  # the connection may have ended already
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


async def _connect_straight(address: str, port: int, seconds: float, source_address: str | None) -> socket.socket:
    is_ipv6 = _is_ipv6(address)
    if source_address is not None and _is_ipv6(source_address) != is_ipv6:
        raise OSError(errno.ENETUNREACH, "the host's address is of another kind than our source address")
    # The protocol is named: where it is, the loop's transport sends each command without delay (TCP_NODELAY).
    connected = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        connected.setblocking(False)
        if source_address is not None:
            _bind(connected, source_address)
        await _connect(connected, address, port, seconds)
    except BaseException as error:
        connected.close()
        if source_address is not None and isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL:
            raise EgressTroubleError(f"our source address {source_address} has no free port") from None
        raise
    return connected


async def _connect(connected: socket.socket, address: str, port: int, seconds: float) -> None:
    """Like the loop's ``sock_connect``; that of uvloop has a thread look up even what is an address already."""
    try:
        connected.connect((address, port))
    except BlockingIOError:
        await _until_writable(connected, seconds)
        if error := connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error)) from None


async def _until_writable(connected: socket.socket, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    is_writable = loop.create_future()
    loop.add_writer(connected, lambda: is_writable.done() or is_writable.set_result(True))
    alarm = loop.call_later(seconds, lambda: is_writable.done() or is_writable.set_result(False))
    try:
        if not await is_writable:
            raise TimeoutError
    finally:
        alarm.cancel()
        loop.remove_writer(connected)


def _bind(connected: socket.socket, source_address: str) -> None:
    with contextlib.suppress(OSError):  # where the system does not have it
        connected.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
    try:
        connected.bind((source_address, 0))
    except OSError as error:
        raise EgressTroubleError(f"our source address {source_address} cannot be used: {error.strerror}") from None


async def _connect_through(url: str, address: str, port: int, seconds: float) -> socket.socket:
    """The proxy is given an address, never a name: DNS stays ours."""
    try:
        return await Proxy.from_url(url).connect(dest_host=address, dest_port=port, timeout=seconds)
    except ProxyTimeoutError:
        if await _greets(url):
            raise TimeoutError(errno.ETIMEDOUT, "connection timed out") from None
        raise EgressTroubleError("our proxy does not answer in time") from None
    except ProxyConnectionError as error:
        raise EgressTroubleError(f"our proxy cannot be reached: {_in_words(error.__cause__)}") from None
    except ProxyError as error:
        if error.error_code is not None and error.error_code in _ABOUT_THE_HOST:
            raise OSError(*_ABOUT_THE_HOST[error.error_code]) from None
        raise EgressTroubleError(f"our proxy will not connect us: {error}") from None
    except OSError as error:
        raise EgressTroubleError(f"our proxy broke off: {_in_words(error)}") from None


async def _greets(url: str) -> bool:
    """Whether the proxy itself is well, so that it was the host that kept silent: it answers a SOCKS5 greeting."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(PROXY_GREETS_WITHIN_SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(b"\x05\x02\x00\x02")  # version 5; we can go on without a password, or with one
                return (await reader.readexactly(2))[0] == 5
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError):
        return False


def _in_words(error: BaseException | None) -> str:
    """What the system says; asyncio would name the proxy's address."""
    if isinstance(error, socket.gaierror):
        return "its name does not resolve"
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__


def _is_ipv6(address: str) -> bool:
    return ":" in address
