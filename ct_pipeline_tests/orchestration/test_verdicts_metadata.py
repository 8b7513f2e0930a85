"""What `email_verdicts` tells after a change of rules: counts, and no address."""

from typing import Any

import dagster as dg

from ct_pipeline.orchestration.assets.verdicts import email_verdicts
from ct_pipeline.orchestration.resources import Deployment, Ledger
from ct_pipeline.settings import Settings
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline_tests.storage.records import take


def metadata() -> dict[str, Any]:
    result = email_verdicts(Deployment(), Ledger())
    assert isinstance(result, dg.MaterializeResult)
    return dict(result.metadata or {})


def test_what_other_rules_changed_is_counted(settings: Settings) -> None:
    with open_ledger(settings) as conn:
        take(conn, "no?address")
    first = metadata()
    assert first["judged_now_count"] == 1
    assert "rejudged_count" not in first
    with open_ledger(settings) as conn:  # as rules of another day might have had it
        conn.execute("update ledger.verdicts set rules_version = '0', safe_to_send = 'yes' where status = 'invalid'")
    second = metadata()
    assert (second["rejudged_count"], second["changed_by_rules_count"]) == (1, 1)
    (record,) = second["changed_by_rules"].records
    assert record.data == {
        "before": "invalid · syntax_error · yes",
        "now": "invalid · syntax_error · no",
        "count": 1,
    }
    assert "@" not in str(second)
