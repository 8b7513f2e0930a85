"""Everything that Dagster shows, listed in the order of the data's way."""

import dagster as dg

from ct_pipeline.orchestration.assets.domains import domain_facts
from ct_pipeline.orchestration.assets.export import clevertap_properties, clevertap_unsubscribes, export_batches
from ct_pipeline.orchestration.assets.intake import contact_files, normalized_emails
from ct_pipeline.orchestration.assets.lists import verified_list_files
from ct_pipeline.orchestration.assets.profiles import audience_profiles, raw_profiles
from ct_pipeline.orchestration.assets.verdicts import email_verdicts
from ct_pipeline.orchestration.assets.verification import smtp_verification
from ct_pipeline.orchestration.batch_ops import batch_jobs
from ct_pipeline.orchestration.export_sensors import export_sensors
from ct_pipeline.orchestration.intake_sensors import intake_sensors
from ct_pipeline.orchestration.jobs import all_jobs
from ct_pipeline.orchestration.resources import Deployment, resources_of
from ct_pipeline.orchestration.schedules import all_schedules
from ct_pipeline.orchestration.verifying_sensors import verifying_sensors


def build_defs(*, deployment: Deployment | None = None) -> dg.Definitions:
    """The code location. ``deployment`` lets tests and labs work in another state folder."""
    return dg.Definitions(
        assets=[
            raw_profiles,
            audience_profiles,
            contact_files,
            normalized_emails,
            domain_facts,
            smtp_verification,  # mailbox_probes and catch_all_facts
            email_verdicts,
            verified_list_files,
            export_batches,
            clevertap_unsubscribes,
            clevertap_properties,
        ],
        jobs=[*all_jobs, *batch_jobs],
        schedules=all_schedules,
        sensors=[*intake_sensors, *verifying_sensors, *export_sensors],
        resources=resources_of(deployment or Deployment()),
        executor=dg.in_process_executor,  # also for runs that a click on an asset starts
    )


defs = build_defs()
