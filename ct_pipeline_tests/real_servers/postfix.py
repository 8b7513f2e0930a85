"""Postfix with a configuration, a queue and a log of its own, beside whatever Postfix the machine runs."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from ct_pipeline_tests.real_servers.real_server import (
    DEAD_USERS,
    LIVE_USERS,
    RealServer,
    program,
    require_root,
    running,
    self_signed_certificate,
)

# Services of Postfix's own master.cf that an SMTP server needs, outside a chroot; smtpd's line is added per server.
SERVICES = """\
cleanup   unix  n  -  n  -      0  cleanup
qmgr      unix  n  -  n  300    1  qmgr
rewrite   unix  -  -  n  -      -  trivial-rewrite
bounce    unix  -  -  n  -      0  bounce
defer     unix  -  -  n  -      0  bounce
trace     unix  -  -  n  -      0  bounce
verify    unix  -  -  n  -      1  verify
proxymap  unix  -  -  n  -      -  proxymap
error     unix  -  -  n  -      -  error
discard   unix  -  -  n  -      -  discard
anvil     unix  -  -  n  -      1  anvil
tlsmgr    unix  -  -  n  1000?  1  tlsmgr
postlog   unix-dgram n - n -    1  postlogd
"""


@contextlib.contextmanager
def running_postfix(
    folder: Path,
    address: str,
    port: int,
    *,
    domain: str = "postfix.test",
    live_users: tuple[str, ...] = LIVE_USERS,
    options: Mapping[str, str] | None = None,
    rejects: Mapping[str, str] | None = None,
    greylist_seconds: int | None = None,
    starttls: bool = False,
) -> Iterator[RealServer]:
    """A Postfix that takes mail for ``live_users`` at ``domain``.

    Args:
        folder: an empty folder that other accounts may enter.
        options: lines of main.cf, for example ``{"smtpd_recipient_limit": "3"}``.
        rejects: what it says to an address whose user lives, for example
            ``{"full@postfix.test": "452 4.2.2 Mailbox full"}``; asked before its table of users.
        greylist_seconds: greylist with postgrey, this long.
        starttls: offer STARTTLS, with a self-signed certificate.
    """
    require_root()
    with contextlib.ExitStack() as stack:
        settings = {**_settings(folder, domain), **(options or {})}
        restrictions = ["reject_unauth_destination"]
        if rejects:
            table = _write(folder / "rejects", "".join(f"{who} {reply}\n" for who, reply in rejects.items()))
            restrictions.append(f"check_recipient_access texthash:{table}")
        if greylist_seconds is not None:
            policy = stack.enter_context(_running_postgrey(folder / "postgrey", address, port + 1, greylist_seconds))
            restrictions.append(f"check_policy_service inet:{policy}")
        if starttls:
            certificate, key = self_signed_certificate(folder, f"mx.{domain}")
            settings |= {
                "smtpd_tls_security_level": "may",
                "smtpd_tls_cert_file": str(certificate),
                "smtpd_tls_key_file": str(key),
            }
        settings["smtpd_recipient_restrictions"] = ", ".join(restrictions)
        _write_configuration(folder, f"{address}:{port}", domain, live_users, settings)
        stack.enter_context(
            running(
                [program("postfix"), "-c", folder / "etc", "start-fg"],
                output=folder / "output",
                endpoint=(address, port),
                pid_file=folder / "queue/pid/master.pid",
            )
        )
        yield RealServer("postfix", address, port, domain, live_users, DEAD_USERS, folder / "log")


def _settings(folder: Path, domain: str) -> dict[str, str]:
    return {
        "compatibility_level": "3.6",
        "queue_directory": f"{folder}/queue",
        "data_directory": f"{folder}/data",
        "maillog_file": f"{folder}/log",
        "maillog_file_prefixes": str(folder),
        "myhostname": f"mx.{domain}",
        "mydestination": "",
        # Limits and reject lists hold for everyone who is not in mynetworks, so our own 127.0.0.1 must not be.
        "mynetworks": "127.255.255.254/32",
        "inet_interfaces": "127.0.0.1",  # smtpd's address stands in master.cf; this one only has to exist
        "inet_protocols": "ipv4",
        # By default a session's errors cost a second each from the tenth to the twentieth, at which Postfix hangs up.
        "smtpd_soft_error_limit": "18",
        "alias_maps": "",
        "alias_database": "",
        "virtual_mailbox_domains": domain,
        "virtual_mailbox_maps": f"texthash:{folder}/users",
        "virtual_transport": "discard",
    }


def _write_configuration(
    folder: Path, endpoint: str, domain: str, live_users: tuple[str, ...], settings: Mapping[str, str]
) -> None:
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    _write(folder / "users", "".join(f"{user}@{domain} {user}\n" for user in live_users))
    _write(folder / "etc/main.cf", "".join(f"{name} = {value}\n" for name, value in settings.items()))
    _write(folder / "etc/master.cf", f"{endpoint} inet n - n - - smtpd\n{SERVICES}")


@contextlib.contextmanager
def _running_postgrey(folder: Path, address: str, port: int, seconds: int) -> Iterator[str]:
    """The policy server's ``host:port``. Debian's lists of exceptions are replaced by empty ones."""
    folder.mkdir()
    shutil.chown(folder, "postgrey", "postgrey")
    nobody = _write(folder / "no_exceptions", "")
    command = [program("postgrey"), f"--inet={address}:{port}", f"--delay={seconds}", f"--dbdir={folder}"]
    exceptions = [f"--whitelist-clients={nobody}", f"--whitelist-recipients={nobody}"]
    with running([*command, *exceptions], output=folder / "output", endpoint=(address, port), greeting=b""):
        yield f"{address}:{port}"


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
