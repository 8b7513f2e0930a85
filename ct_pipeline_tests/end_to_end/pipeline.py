"""The stages around the verifier, called one by one, and what they leave in the ledger."""

import csv
from pathlib import Path

from ct_pipeline.settings import Settings
from ct_pipeline.stages.domains import look_up_domains
from ct_pipeline.stages.intake import normalize_new_pulls, take_in_contact_file
from ct_pipeline.stages.judge import judge_unjudged
from ct_pipeline.stages.lists import write_list
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.verification.questions import random_name


def take_in(settings: Settings, contacts: Path) -> int:
    """Everything before the first SMTP session; returns the pull."""
    pull = take_in_contact_file(settings, contacts)
    normalize_new_pulls(settings)
    look_up_domains(settings)
    return pull.pull_id


def verdicts(settings: Settings, pull_id: int, out: Path) -> dict[str, str]:
    """The status of every row of the list file, by address."""
    judge_unjudged(settings)
    write_list(settings, pull_id, out)
    return statuses(out)


def statuses(list_file: Path) -> dict[str, str]:
    with list_file.open(newline="") as file:
        return {row["email"]: row["status"] for row in csv.DictReader(file)}


def answered_probes(settings: Settings) -> list[tuple[str, int]]:
    """Address and reply code of every probe in the ledger that got an answer to RCPT.

    Of the made-up names of a domain only the first is told: for domains that are not large.
    """
    with open_ledger(settings) as conn:
        rows = conn.execute(
            """
            select kind, address, domain, code
            from ledger.probes join ledger.domains using (domain_id) left join ledger.addresses using (address_id)
            where stage = 'rcpt' and code > 0 and kind <> 'session'
            """
        ).fetchall()
    names = {"random": random_name, "control": lambda _domain: "postmaster"}
    return [(address or f"{names[kind](domain)}@{domain}", code) for kind, address, domain, code in rows]
