"""OpenSMTPD. Its spool and its control socket have fixed places, so only one can run on a machine at a time."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from ct_pipeline_tests.real_servers.real_server import (
    DEAD_USERS,
    LIVE_USERS,
    UNPACKED_FOLDER,
    RealServer,
    program,
    require_root,
    running,
)

LOCK = Path("/var/tmp/ct_pipeline_opensmtpd.lock")  # a second test run on the machine waits for the first


# An unknown user is answered with "550 Invalid recipient" at the first domain, whose users stand in a user base, and
# with "524 5.2.4 Mailing list expansion problem" at the second, whose addresses stand in a virtual table. DATA is
# refused, since OpenSMTPD logs no command that it takes.
CONFIGURATION = """\
table accounts file:{folder}/accounts
table addresses file:{folder}/addresses
table everyone {{ 0.0.0.0/0 }}
filter no_data phase data match src <everyone> reject "554 No messages, please"
smtp limit max-rcpt {max_rcpt}
listen on {address} port {port} hostname mx.{domain} filter no_data
action "keep" maildir "{folder}/mail" userbase <accounts>
action "keep_virtual" maildir "{folder}/mail" virtual <addresses> userbase <accounts>
match from any for domain {domain} action "keep"
match from any for domain {virtual_domain} action "keep_virtual"
"""


@contextlib.contextmanager
def running_opensmtpd(
    folder: Path,
    address: str,
    port: int,
    *,
    domain: str = "opensmtpd.test",
    virtual_domain: str = "opensmtpd-virtual.test",
    live_users: tuple[str, ...] = LIVE_USERS,
    max_rcpt: int = 5,
) -> Iterator[RealServer]:
    """An OpenSMTPD that takes mail for ``live_users`` at ``domain`` and at ``virtual_domain``.

    Args:
        folder: an empty folder that other accounts may enter.
        max_rcpt: after so many accepted recipients of one message it answers 451 to each further one.
    """
    require_root()
    smtpd = program("smtpd", UNPACKED_FOLDER / "usr/sbin")
    (folder / "accounts").write_text("".join(f"{user}:65534:65534:{folder}\n" for user in live_users))
    (folder / "addresses").write_text("".join(f"{user}@{virtual_domain} {user}\n" for user in live_users))
    configuration = folder / "smtpd.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder,
            address=address,
            port=port,
            domain=domain,
            virtual_domain=virtual_domain,
            max_rcpt=max_rcpt,
        )
    )
    with _only_one(), running([smtpd, "-d", "-f", configuration], output=folder / "log", endpoint=(address, port)):
        yield RealServer("opensmtpd", address, port, domain, live_users, DEAD_USERS, folder / "log")


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
