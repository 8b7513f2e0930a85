"""NSD, a real authoritative name server: the zone ``test`` leads to the mail servers, a reverse zone to the prober."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from ct_pipeline_tests.real_servers.real_server import program, running

CONFIGURATION = """\
server:
    ip-address: {address}@{port}
    username: ""
    server-count: 1
    database: ""
    zonesdir: "{folder}"
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    xfrdir: "{folder}"
    logfile: "{folder}/log"
remote-control:
    control-enable: no
zone:
    name: "test"
    zonefile: "test.zone"
zone:
    name: "127.in-addr.arpa"
    zonefile: "reverse.zone"
"""

# Beside the mail servers' domains: the prober's own name, and domains that take no mail.
ZONE_HEAD = """\
$ORIGIN test.
$TTL 3600
@        SOA   ns hostmaster 1 3600 600 604800 300
@        NS    ns
ns       A     {address}
prober   A     127.0.0.1
prober   MX    10 prober
null-mx  MX    0 .
no-mail  TXT   "a domain without mail"
"""
REVERSE_ZONE = """\
$ORIGIN 127.in-addr.arpa.
$TTL 3600
@        SOA   ns.test. hostmaster.test. 1 3600 600 604800 300
@        NS    ns.test.
1.0.0    PTR   prober.test.
"""


@contextlib.contextmanager
def running_nsd(folder: Path, address: str, port: int, mail_hosts: Mapping[str, str]) -> Iterator[str]:
    """The name server as ``ip:port``. ``mail_hosts`` maps a domain, ``exim.test``, to its MX host's address."""
    zone = ZONE_HEAD.format(address=address)
    for domain, host_address in mail_hosts.items():
        name = domain.removesuffix(".test")
        zone += f"{name} MX 10 mx.{name}\nmx.{name} A {host_address}\n"
    (folder / "test.zone").write_text(zone)
    (folder / "reverse.zone").write_text(REVERSE_ZONE)
    configuration = folder / "nsd.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, address=address, port=port))
    with running(
        [program("nsd"), "-d", "-c", configuration], output=folder / "output", endpoint=(address, port), greeting=()
    ):
        yield f"{address}:{port}"
