"""The jobs: each leaves its state in the ledger, from which the next one takes its work.

One step at a time in the run's own process: a second process per step would double the start-up, and inside a step
asyncio already keeps thousands of sessions going.
"""

from collections.abc import Mapping

import dagster as dg

from ct_pipeline.orchestration.instance import VERIFIER_TAG

ASSETS_OF_JOB: Mapping[str, tuple[str, ...]] = {
    "intake": ("contact_files", "normalized_emails", "domain_facts"),
    "pull_day": ("raw_profiles", "normalized_emails", "domain_facts"),
    "pull_audience": ("audience_profiles", "normalized_emails", "domain_facts"),
    "normalize": ("normalized_emails", "domain_facts"),
    "domains": ("domain_facts",),
    "verify": ("mailbox_probes", "catch_all_facts"),
    "judge": ("email_verdicts",),
    "lists": ("verified_list_files",),
    "plan": ("export_batches",),
    "push": ("clevertap_unsubscribes", "clevertap_properties"),
}


def _job(
    name: str, description: str, tags: Mapping[str, str] | None = None, config: Mapping[str, object] | None = None
):
    """``config``: what the launchpad opens with, for each asset."""
    return dg.define_asset_job(
        name,
        selection=list(ASSETS_OF_JOB[name]),
        executor_def=dg.in_process_executor,
        description=description,
        tags=tags,
        config={"ops": {asset: {"config": config} for asset in ASSETS_OF_JOB[name]}} if config else None,
    )


intake = _job("intake", "Takes in one contact file of the inbox, normalizes its addresses and looks up their domains.")

pull_day = _job(
    "pull_day", "Pulls the profiles of one day from CleverTap, normalizes their addresses and looks up the domains."
)

pull_audience = _job(
    "pull_audience",
    "Pulls the profiles of one audience, such as `everyone`, from CleverTap, normalizes their addresses and looks up "
    "the domains.",
)

normalize = _job("normalize", "Takes up what was pulled and not normalized yet, and looks up the domains.")

domains = _job("domains", "Looks up the mail domains that are new, or whose facts have expired.")

verify = _job(
    "verify",
    "Asks the mail servers about every address that is due in a range of lanes.",
    tags={VERIFIER_TAG: "true"},
)

judge = _job("judge", "Judges the addresses whose evidence or rules have changed. Sends nothing over the network.")

lists = _job("lists", "Writes one contact file again, with its verdicts beside its own columns.")

plan = _job("plan", "Plans what CleverTap should be told, as batches of changes. Sends nothing to CleverTap.")

push = _job(
    "push",
    "Sends the batches that no brake holds to CleverTap; with CT_EXPORT_MODE=preview, and no `apply: true` in the "
    "configuration of the run, it only tells what it would send.",
    config={"apply": None, "batch_ids": []},
)

all_jobs = [intake, pull_day, pull_audience, normalize, domains, verify, judge, lists, plan, push]
