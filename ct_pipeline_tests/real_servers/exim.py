"""Exim with the recipient check of its own default configuration: stock texts, so that reply rules meet them."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from ct_pipeline_tests.real_servers.certificates import self_signed_certificate
from ct_pipeline_tests.real_servers.real_server import (
    DEAD_USERS,
    LIVE_USERS,
    UNPACKED_FOLDER,
    RealServer,
    program,
    require_root,
    running,
)

ACCOUNT = "Debian-exim"

# "relay not permitted" and "Unknown user" are the texts of Exim's default configuration file.
CONFIGURATION = """\
exim_path = {exim}
exim_user = {account}
exim_group = {account}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/spool/daemon.pid
primary_hostname = mx.{domain}
local_interfaces = {address}
daemon_smtp_ports = {port}
tls_advertise_hosts = {tls_hosts}
tls_certificate = {certificate}
tls_privatekey = {key}
recipients_max = {recipients_max}
log_selector = +smtp_connection +smtp_protocol_error +smtp_syntax_error
{options}
rfc1413_query_timeout = 0s
host_lookup =
keep_environment =
domainlist local_domains = {domain}
acl_smtp_rcpt = check_recipient
acl_smtp_predata = deny

begin acl

check_recipient:
  warn logwrite = RCPT command
{drop}  require message = relay not permitted
          domains = +local_domains
  require verify = recipient
  accept

begin routers

mailboxes:
  driver = accept
  local_parts = lsearch;{folder}/users
  transport = nowhere
  cannot_route_message = Unknown user

begin transports

nowhere:
  driver = appendfile
  file = /dev/null
  user = {account}
"""

# As Debian's configuration proposes it.
DROP = """\
  drop message = Rejected: too many failed recipients
       condition = ${{if >{{$rcpt_fail_count}}{{{most_unknown}}}}}
"""


@contextlib.contextmanager
def running_exim(
    folder: Path,
    address: str,
    port: int,
    *,
    domain: str = "exim.test",
    live_users: tuple[str, ...] = LIVE_USERS,
    recipients_max: int = 5,
    options: Mapping[str, str] | None = None,
    most_unknown: int | None = None,
    starttls: bool = False,
) -> Iterator[RealServer]:
    """An Exim that takes mail for ``live_users`` at ``domain``; after ``recipients_max`` recipients of one message it
    answers 452 to each further one. It logs every connection, with how many there are, and every RCPT.

    Args:
        folder: an empty folder that other accounts may enter.
        options: lines of its main section, for example ``{"smtp_accept_max_per_host": "2"}``.
        most_unknown: hang up on a client that has named more unknown recipients than this in one message.
        starttls: offer STARTTLS, with a self-signed certificate.
    """
    require_root()
    exim = program("exim4", UNPACKED_FOLDER / "usr/sbin")
    for name in ("spool", "log"):
        (folder / name).mkdir()
        shutil.chown(folder / name, ACCOUNT, ACCOUNT)
    (folder / "users").write_text("".join(f"{user}\n" for user in live_users))
    certificate, key = self_signed_certificate(folder, f"mx.{domain}")
    shutil.chown(key, ACCOUNT)
    configuration = folder / "exim.conf"
    configuration.write_text(
        CONFIGURATION.format(
            exim=exim,
            account=ACCOUNT,
            folder=folder,
            address=address,
            port=port,
            domain=domain,
            recipients_max=recipients_max,
            options="\n".join(f"{name} = {value}" for name, value in (options or {}).items()),
            drop="" if most_unknown is None else DROP.format(most_unknown=most_unknown),
            tls_hosts="*" if starttls else "",
            certificate=certificate,
            key=key,
        )
    )
    libraries = ":".join(str(path) for path in sorted(UNPACKED_FOLDER.glob("usr/lib/*-linux-gnu")))
    with running(
        [exim, "-C", configuration, "-bdf"],
        output=folder / "output",
        endpoint=(address, port),
        environment={"LD_LIBRARY_PATH": libraries},
    ):
        yield RealServer("exim", address, port, domain, live_users, DEAD_USERS, folder / "log/mainlog")
