"""`email_verdicts` shows every list that its flags rest on, with version and date."""

import dagster as dg

from ct_pipeline.orchestration.assets.verdicts import email_verdicts
from ct_pipeline.orchestration.resources import Deployment, Ledger
from ct_pipeline.settings import Settings


def test_lists_are_shown_with_version_and_date(settings: Settings) -> None:
    result = email_verdicts(Deployment(), Ledger())
    assert isinstance(result, dg.MaterializeResult)
    lists = (result.metadata or {})["lists"]
    assert isinstance(lists, dg.TableMetadataValue)
    shown = {str(record.data["list"]): record.data for record in lists.records}
    assert {"disposable domains", "free domains", "role words", "gibberish model"} <= shown.keys()
    assert str(shown["disposable domains"]["version"]).startswith("disposable-email-domains 0.")
    assert str(shown["role words"]["dated"]).startswith("20")
    assert all(record["entries"] for record in shown.values())
