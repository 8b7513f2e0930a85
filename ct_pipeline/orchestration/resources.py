"""The one resource: which deployment a run works for.

It carries configuration and opens nothing: connections and sockets are opened inside a step, because resources are
closed before a cancelled step has cleaned up. Secrets are not part of it, since resource configuration is recorded with
every run; they are read from the environment of the process that runs the step. Hence no resource for CleverTap's
client or the verifier either: each would only repeat the settings that the stages take.
"""

import dagster as dg
from pydantic import Field

from ct_pipeline.clevertap.connection import connection_of
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings, load_settings


class Deployment(dg.ConfigurableResource):
    """Where a run finds its settings."""

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


def missing_connection(settings: Settings) -> str:
    """What keeps CleverTap from being reached with these settings, in words; empty if nothing does. Asks nobody."""
    try:
        connection_of(settings)
    except SettingsError as error:
        return f"No CleverTap project is connected. {' '.join(str(error).splitlines())}"
    return ""
