"""Runs py3-validate-email over a made-up list, in threads, and prints what came of it as JSON.

``peers_side_by_side.py`` starts it, with the Python that the peer is installed for; nothing of ct_pipeline is needed.
The peer takes its name server from the operating system and port 25 from smtplib: both are set here, from outside.
"""

import argparse
import importlib
import json
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from ct_pipeline_tests.benchmarks.made_up_list import domain_of, is_mailbox, mailboxes

PACKAGE = "py3-validate-email"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("domains", "addresses", "threads", "dns-port", "smtp-port"):
        parser.add_argument(f"--{name}", type=int, required=True)
    asked = parser.parse_args()
    os.environ["PY3VE_IGNORE_UPDATER"] = "1"  # or it fetches a list of disposable domains from the internet
    peer = importlib.import_module("validate_email")
    _lead(asked.dns_port, asked.smtp_port)
    addresses = [address for host in range(asked.domains) for address in mailboxes(domain_of(host), asked.addresses)]
    random.Random(1).shuffle(addresses)  # as a contact list is: sorted by domain, all threads would be at one host

    def verify(address: str) -> bool | None:
        return peer.validate_email(
            address, smtp_helo_host="verifier.test", smtp_from_address="postmaster@verifier.test"
        )

    started = time.perf_counter()
    with ThreadPoolExecutor(asked.threads) as pool:
        answers = list(pool.map(verify, addresses))
    seconds = time.perf_counter() - started
    undecided = answers.count(None)
    right = sum(answer is is_mailbox(address.encode()) for address, answer in zip(addresses, answers, strict=True))
    print(
        json.dumps(
            {
                "name": f"{PACKAGE} {metadata.version(PACKAGE)}",
                "seconds": seconds,
                "right": right,
                "wrong": len(answers) - right - undecided,
                "undecided": undecided,
            }
        )
    )


def _lead(dns_port: int, smtp_port: int) -> None:
    """Lead the peer's look-ups, those of smtplib below it too, and its sessions to the benchmark's processes."""
    resolver_module: Any = importlib.import_module("dns.resolver")
    resolver = resolver_module.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], dns_port
    resolver_module.default_resolver = resolver
    resolver_module.override_system_resolver(resolver)
    smtp_check: Any = importlib.import_module("validate_email.smtp_check")
    smtp_check._SMTPChecker.default_port = smtp_port


if __name__ == "__main__":
    main()
