"""What assets and sensors work with: the deployment's settings, its ledger, its CleverTap project, its verifier.

Resources carry configuration and open nothing by themselves: connections and sockets are opened inside a step, because
resources are closed before a cancelled step has cleaned up. Secrets are no part of them: resource configuration is
recorded with every run; they are read from the environment of the process that runs the step.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime

import dagster as dg
import psycopg
from pydantic import Field

from ct_pipeline.clevertap.connection import connection_of
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.pull import PullSummary, pull_audience, pull_day
from ct_pipeline.stages.pull_reading import PullProgress
from ct_pipeline.stages.push import push
from ct_pipeline.stages.undo import UndoSummary, undo_batch
from ct_pipeline.stages.verify import verify_lanes_iter
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.site_memory import OpenBreaker, open_breakers
from ct_pipeline.to_clevertap.push_summary import PushedBatch, PushSummary
from ct_pipeline.verification.lane_summary import LaneSummary
from ct_pipeline.vocabulary import ChangeKind


class Deployment(dg.ConfigurableResource):
    """Where a run finds its settings; the other resources are parts of a deployment, so they know it too."""

    state_dir: str | None = Field(
        default=None, description="State folder to work in, instead of the one that CT_STATE_DIR names."
    )

    def settings(self) -> Settings:
        """The settings of this deployment.

        Raises:
            SettingsError: a variable is wrong; the text names it and the mend.
        """
        if self.state_dir:
            return load_settings(state_dir=self.state_dir)
        return load_settings()


class Ledger(Deployment):
    """The Postgres database of everything that must never be lost or done twice."""

    def open(self) -> AbstractContextManager[psycopg.Connection]:
        """A connection for the length of a ``with`` block.

        Raises:
            LedgerUnavailableError: the database does not answer, or stands at another migration.
        """
        return open_ledger(self.settings())


class CleverTapProject(Deployment):
    """The connected CleverTap project: profiles are read from it, changes are written to it.

    Every method raises SettingsError, naming the variable, where CT_PROJECT_ID, CT_PASSCODE or CT_REGION is missing.
    """

    def pull_day(self, day: date, on_page: Callable[[PullProgress], None]) -> PullSummary:
        """See :func:`ct_pipeline.stages.pull.pull_day`."""
        return pull_day(self.settings(), day, on_page)

    def pull_audience(self, name: str, on_page: Callable[[PullProgress], None]) -> PullSummary:
        """See :func:`ct_pipeline.stages.pull.pull_audience`."""
        return pull_audience(self.settings(), name, on_page)

    def push(
        self,
        kinds: Collection[ChangeKind],
        batch_ids: Collection[int] | None,
        apply: bool | None,
        on_batch: Callable[[PushedBatch], object],
    ) -> PushSummary:
        """See :func:`ct_pipeline.stages.push.push`."""
        return push(self.settings(), kinds=kinds, batch_ids=batch_ids, apply=apply, on_batch=on_batch)

    def undo(self, batch_id: int, include_unknown: bool, apply: bool | None, by: str) -> UndoSummary:
        """See :func:`ct_pipeline.stages.undo.undo_batch`."""
        return undo_batch(self.settings(), batch_id, include_unknown=include_unknown, apply=apply, by=by)


class SmtpVerifier(Deployment):
    """The verifier: partitioned by lane, resumable at any moment, one process at a time on a lane."""

    @contextmanager
    def verify(self, lanes: Collection[str]) -> Iterator[Iterator[LaneSummary]]:
        """Ask about everything that is due in ``lanes``; the summaries come as lanes finish. Leaving the block early
        ends all sessions politely."""
        summaries = verify_lanes_iter(self.settings(), list(lanes))
        try:
            yield summaries
        finally:
            summaries.close()

    def sites_that_turned_us_away(self) -> list[OpenBreaker]:
        """Those that may not be tried yet, of all lanes."""
        with open_ledger(self.settings()) as conn:
            return open_breakers(conn, datetime.now(UTC))


def resources_of(deployment: Deployment) -> dict[str, dg.ConfigurableResource]:
    """All resources, under the names by which assets and sensors ask for them."""
    return {
        "deployment": deployment,
        "ledger": Ledger(state_dir=deployment.state_dir),
        "clevertap": CleverTapProject(state_dir=deployment.state_dir),
        "smtp_verifier": SmtpVerifier(state_dir=deployment.state_dir),
    }


def missing_connection(settings: Settings) -> str:
    """What keeps CleverTap from being reached with these settings, in words; empty if nothing does. Asks nobody."""
    try:
        connection_of(settings)
    except SettingsError as error:
        return f"No CleverTap project is connected. {' '.join(str(error).splitlines())}"
    return ""
