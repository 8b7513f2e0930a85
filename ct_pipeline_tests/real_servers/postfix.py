"""Postfix with a configuration, a queue and a log of its own, beside whatever Postfix the machine runs."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ct_pipeline_tests.real_servers.certificates import outdated_certificate, self_signed_certificate
from ct_pipeline_tests.real_servers.real_server import (
    DEAD_USERS,
    GREETINGS,
    LIVE_USERS,
    RealServer,
    program,
    require_root,
    running,
)

# What listens: smtpd itself, or postscreen, which passes its clients on.
SMTPD = "{endpoint} inet n - n - - smtpd\n"
POSTSCREEN = """\
{endpoint} inet n  -  n  -      1  postscreen
smtpd     pass  -  -  n  -      -  smtpd
dnsblog   unix  -  -  n  -      0  dnsblog
tlsproxy  unix  -  -  n  -      0  tlsproxy
"""

# Services of Postfix's own master.cf that an SMTP server needs, outside a chroot.
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

QUEUE_FOLDERS = {"pid": "root", "private": "postfix", "public": "postfix", "incoming": "postfix", "active": "postfix"}
QUEUE_FOLDERS |= dict.fromkeys(("deferred", "defer", "bounce", "flush", "trace", "hold", "corrupt"), "postfix")


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
    outdated_tls: bool = False,
    postscreen: bool = False,
) -> Iterator[RealServer]:
    """A Postfix that takes mail for ``live_users`` at ``domain``.

    Its start makes one connection, which counts against limits per client.

    Args:
        folder: an empty folder that other accounts may enter.
        options: lines of main.cf, which win over all else, for example ``{"smtpd_recipient_limit": "3"}``.
        rejects: what it says to an address whose user lives, for example
            ``{"full@postfix.test": "452 4.2.2 Mailbox full"}``; asked before its table of users.
        greylist_seconds: greylist with postgrey, this long.
        starttls: offer STARTTLS, with a self-signed certificate.
        outdated_tls: offer STARTTLS as a forgotten installation does: TLS 1.0, and a certificate that expired long ago.
        postscreen: let postscreen keep the door. It greets strangers in two parts, a second apart, and puts each of
            them off once.
    """
    require_root()
    with contextlib.ExitStack() as stack:
        settings = _settings(folder, domain)
        restrictions = ["reject_unauth_destination"]
        if rejects:
            table = _write(folder / "rejects", "".join(f"{who} {reply}\n" for who, reply in rejects.items()))
            restrictions.append(f"check_recipient_access texthash:{table}")
        if greylist_seconds is not None:
            policy = stack.enter_context(_running_postgrey(folder / "postgrey", address, port + 1, greylist_seconds))
            restrictions.append(f"check_policy_service inet:{policy}")
        if starttls or outdated_tls:
            settings |= _tls_settings(folder, domain, is_outdated=outdated_tls)
        if postscreen:
            settings |= _postscreen_settings()
        settings["smtpd_recipient_restrictions"] = ", ".join(restrictions)
        settings |= options or {}
        listener = (POSTSCREEN if postscreen else SMTPD).format(endpoint=f"{address}:{port}")
        _write_configuration(folder, listener, domain, live_users, settings)
        stack.enter_context(
            running(
                [program("postfix"), "-c", folder / "etc", "start-fg"],
                output=folder / "output",
                endpoint=(address, port),
                # A first contact that postscreen has half seen would not be quite a stranger's later.
                greeting=() if postscreen else GREETINGS,
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


def _tls_settings(folder: Path, domain: str, *, is_outdated: bool) -> dict[str, str]:
    make_certificate = outdated_certificate if is_outdated else self_signed_certificate
    certificate, key = make_certificate(folder, f"mx.{domain}")
    settings = {
        "smtpd_tls_security_level": "may",
        "smtpd_tls_cert_file": str(certificate),
        "smtpd_tls_key_file": str(key),
    }
    if is_outdated:
        only_old = {"protocols": "TLSv1", "mandatory_protocols": "TLSv1"}
        settings |= {f"smtpd_tls_{name}": value for name, value in only_old.items()}
        settings["tls_medium_cipherlist"] = "ALL:@SECLEVEL=0"
    return settings


def _postscreen_settings() -> dict[str, str]:
    """All its tests of strangers but those that need a block list; a broken one is answered with a refusal."""
    tests = ("pipelining", "non_smtp_command", "bare_newline")
    return {
        "postscreen_greet_wait": "1s",
        "postscreen_greet_action": "enforce",
        **{f"postscreen_{test}_enable": "yes" for test in tests},
        **{f"postscreen_{test}_action": "enforce" for test in tests},
    }


def _write_configuration(
    folder: Path, listener: str, domain: str, live_users: tuple[str, ...], settings: Mapping[str, str]
) -> None:
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    for name, owner in QUEUE_FOLDERS.items():
        (folder / "queue" / name).mkdir()
        shutil.chown(folder / "queue" / name, owner)
    # What "postfix quick-stop" leaves behind: the next start does not check all files first.
    (folder / "queue/quick-start").touch()
    _write(folder / "users", "".join(f"{user}@{domain} {user}\n" for user in live_users))
    _write(folder / "etc/main.cf", "".join(f"{name} = {value}\n" for name, value in settings.items()))
    _write(folder / "etc/master.cf", f"{listener}{SERVICES}")


@contextlib.contextmanager
def _running_postgrey(folder: Path, address: str, port: int, seconds: int) -> Iterator[str]:
    """The policy server's ``host:port``. Debian's lists of exceptions are replaced by empty ones."""
    folder.mkdir()
    shutil.chown(folder, "postgrey", "postgrey")
    nobody = _write(folder / "no_exceptions", "")
    command = [program("postgrey"), f"--inet={address}:{port}", f"--delay={seconds}", f"--dbdir={folder}"]
    exceptions = [f"--whitelist-clients={nobody}", f"--whitelist-recipients={nobody}"]
    with running([*command, *exceptions], output=folder / "output", endpoint=(address, port), greeting=()):
        yield f"{address}:{port}"


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    # Postfix reads a file that is younger than some seconds again and again: it might be half written.
    a_minute_ago = time.time() - 60
    os.utime(path, (a_minute_ago, a_minute_ago))
    return path
