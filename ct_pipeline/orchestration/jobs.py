"""The jobs: each leaves its state in the ledger, from which the next one takes its work.

One step at a time in the run's own process: a second process per step would double the start-up, and inside a step
asyncio already keeps thousands of sessions going.
"""

import dagster as dg

from ct_pipeline.orchestration.instance import VERIFIER_TAG

intake = dg.define_asset_job(
    "intake",
    selection=["contact_files", "normalized_emails", "domain_facts"],
    executor_def=dg.in_process_executor,
    description="Takes in one contact file of the inbox, normalizes its addresses and looks up their domains.",
)

domains = dg.define_asset_job(
    "domains",
    selection=["domain_facts"],
    executor_def=dg.in_process_executor,
    description="Looks up the mail domains that are new, or whose facts have expired.",
)

verify = dg.define_asset_job(
    "verify",
    selection=["mailbox_probes", "catch_all_facts"],
    executor_def=dg.in_process_executor,
    tags={VERIFIER_TAG: "true"},
    description="Asks the mail servers about every address that is due in a range of lanes.",
)

judge = dg.define_asset_job(
    "judge",
    selection=["email_verdicts"],
    executor_def=dg.in_process_executor,
    description="Judges the addresses whose evidence or rules have changed. Sends nothing over the network.",
)

lists = dg.define_asset_job(
    "lists",
    selection=["verified_list_files"],
    executor_def=dg.in_process_executor,
    description="Writes one contact file again, with its verdicts beside its own columns.",
)

all_jobs = [intake, domains, verify, judge, lists]
