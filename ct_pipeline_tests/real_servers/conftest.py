"""Real mail servers, each at its own loopback address and all at one port, and a name server that leads to them.

The pipeline has one ``CT_SMTP_PORT``, as the world has port 25.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from ct_pipeline.settings import Settings, load_settings
from ct_pipeline_tests.real_servers.exim import running_exim
from ct_pipeline_tests.real_servers.nsd import running_nsd
from ct_pipeline_tests.real_servers.opensmtpd import running_opensmtpd
from ct_pipeline_tests.real_servers.postfix import running_postfix
from ct_pipeline_tests.real_servers.real_server import RealServer, free_port, public_folder
from ct_pipeline_tests.real_servers.traffic import tells_of_data

NETWORK = "127.88.0.0/16"
NAMESERVER_ADDRESS = "127.88.0.53"
ADDRESSES = {
    "postfix.test": "127.88.0.1",
    "exim.test": "127.88.0.2",
    "opensmtpd.test": "127.88.0.3",
    "opensmtpd-virtual.test": "127.88.0.3",
}
# Servers with a test's own options: own-1.test at 127.88.1.1 and so on, in the zone from the start.
OWN_ADDRESSES = {f"own-{number}.test": f"127.88.1.{number}" for number in range(1, 129)}
_own_domains = iter(OWN_ADDRESSES)


@pytest.fixture(scope="session")
def smtp_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """Folder of every server's configuration, queue and log; the servers' own accounts may enter it."""
    with public_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postfix(servers_folder: Path, smtp_port: int) -> Iterator[RealServer]:
    folder = _subfolder(servers_folder, "postfix")
    with running_postfix(folder, ADDRESSES["postfix.test"], smtp_port, starttls=True) as server:
        yield server


@pytest.fixture(scope="session")
def exim(servers_folder: Path, smtp_port: int) -> Iterator[RealServer]:
    folder = _subfolder(servers_folder, "exim")
    with running_exim(folder, ADDRESSES["exim.test"], smtp_port, starttls=True) as server:
        yield server


@pytest.fixture(scope="session")
def opensmtpd(servers_folder: Path, smtp_port: int) -> Iterator[RealServer]:
    folder = _subfolder(servers_folder, "opensmtpd")
    with running_opensmtpd(folder, ADDRESSES["opensmtpd.test"], smtp_port) as server:
        yield server


@pytest.fixture(scope="session")
def opensmtpd_virtual(opensmtpd: RealServer) -> RealServer:
    """The same server's other domain, whose users stand in a virtual table."""
    return dataclasses.replace(opensmtpd, domain="opensmtpd-virtual.test")


@pytest.fixture(params=["postfix", "exim", "opensmtpd", "opensmtpd_virtual"])
def mail_server(request: pytest.FixtureRequest) -> RealServer:
    """Each of them in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def start_postfix(servers_folder: Path, smtp_port: int) -> Iterator[Callable[..., RealServer]]:
    """Starts a Postfix with a test's own options, at a domain of its own; it ends with the test.

    Takes the keywords of :func:`~ct_pipeline_tests.real_servers.postfix.running_postfix`. Whatever the test is about:
    nobody may have said DATA to it.
    """
    yield from _starter(running_postfix, servers_folder, smtp_port)


@pytest.fixture
def start_exim(servers_folder: Path, smtp_port: int) -> Iterator[Callable[..., RealServer]]:
    """The same with an Exim; takes the keywords of :func:`~ct_pipeline_tests.real_servers.exim.running_exim`."""
    yield from _starter(running_exim, servers_folder, smtp_port)


def _starter(
    running_server: Callable[..., AbstractContextManager[RealServer]], servers_folder: Path, smtp_port: int
) -> Iterator[Callable[..., RealServer]]:
    started: list[RealServer] = []
    with ExitStack() as stack:

        def start(**keywords: Any) -> RealServer:
            domain = next(_own_domains)
            folder = _subfolder(servers_folder, domain)
            running = running_server(folder, OWN_ADDRESSES[domain], smtp_port, domain=domain, **keywords)
            started.append(stack.enter_context(running))
            return started[-1]

        yield start
    assert not [server.domain for server in started if tells_of_data(server.log())], "somebody said DATA"


@pytest.fixture(scope="session")
def nameserver(servers_folder: Path) -> Iterator[str]:
    """NSD as ``ip:port``, with the MX and A records of all servers above."""
    folder = _subfolder(servers_folder, "nsd")
    with running_nsd(folder, NAMESERVER_ADDRESS, free_port(), ADDRESSES | OWN_ADDRESSES) as endpoint:
        yield endpoint


@pytest.fixture
def pipeline_environment(nameserver: str, smtp_port: int) -> dict[str, str]:
    """The settings that lead a pipeline to these servers and to nothing else."""
    return {
        "CT_NAMESERVERS": nameserver,
        "CT_SMTP_PORT": str(smtp_port),
        "CT_ALLOWED_NETWORKS": NETWORK,
        "CT_HELO_NAME": "prober.test",
        "CT_MAIL_FROM": "check@prober.test",
    }


@pytest.fixture
def pipeline_settings(settings_for_tests: Settings, pipeline_environment: dict[str, str]) -> Settings:
    """The same settings as an object, with a ledger and a state folder of the test's own."""
    named = {name.removeprefix("CT_").lower(): value for name, value in pipeline_environment.items()}
    return load_settings(state_dir=settings_for_tests.state_dir, database_url=settings_for_tests.database_url, **named)


def _subfolder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir(mode=0o755)
    return folder
