"""What is known of each mail domain."""

import dagster as dg

from ct_pipeline.orchestration.assets.intake import normalized_emails
from ct_pipeline.orchestration.groups import DOMAINS
from ct_pipeline.orchestration.metadata import count_table
from ct_pipeline.orchestration.resources import Deployment
from ct_pipeline.stages.domains import look_up_domains


@dg.asset(
    group_name=DOMAINS,
    deps=[normalized_emails],
    kinds={"dns", "postgres"},
    description="Mail hosts, provider and lane of each domain. Only new domains and expired facts are looked up.",
)
def domain_facts(deployment: Deployment) -> dg.MaterializeResult:
    summary = look_up_domains(deployment.settings())
    return dg.MaterializeResult(
        metadata={
            "domain_count": summary.domain_count,
            "query_count": summary.query_count,
            "mx_query_count": summary.mx_query_count,
            "mail_services": count_table("mail_service", summary.services),
            "providers": count_table("provider", summary.providers),
        }
    )
