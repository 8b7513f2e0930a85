"""Who has opted out of e-mail, or back in, read from CleverTap before anybody is resubscribed."""

from datetime import UTC, datetime, timedelta

from ct_pipeline.clevertap.client import CleverTap
from ct_pipeline.clevertap.query import unsubscribe_events_query
from ct_pipeline.errors import CleverTapUnavailableError
from ct_pipeline.from_clevertap.subscription_rows import subscription_rows
from ct_pipeline.settings import Settings
from ct_pipeline.stages.push_clerk import Clerk
from ct_pipeline.storage.subscription_events import keep_subscription_events
from ct_pipeline.storage.undo import subscription_event_count

READ_DAYS = 365  # an opt-out between the last pull and the batch counts as much as one after it
CREDIBLE_SHARE = 0.5  # of the events that are known already
EXPORTS = 3


async def refresh_opt_outs(settings: Settings, clerk: Clerk, clevertap: CleverTap, project: str) -> int:
    """Read the events ``Channel Unsubscribed`` of a year into the ledger; how many there were.

    CleverTap's exports are empty at times although there is something. Here that would resubscribe people who have
    opted out; so an export that shows nothing, or far fewer events than are known, is repeated. In the end nothing is
    believed where nothing is known; fewer than known are not.

    Raises:
        CleverTapUnavailableError: no credible export.
    """
    last = datetime.now(settings.zone).date()
    first = last - timedelta(days=READ_DAYS)
    since = datetime.now(UTC) - timedelta(days=READ_DAYS - 1)
    known_count = await clerk.do(subscription_event_count, project, since)
    read_count = 0
    for _ in range(EXPORTS):
        read_count = 0
        async for page in clevertap.event_pages(unsubscribe_events_query(first, last)):
            if page.set_aside:
                raise CleverTapUnavailableError(
                    f"CleverTap shows opt-outs that cannot be read ({page.set_aside[0]}): nobody is resubscribed, "
                    "since one of them may be theirs."
                )
            rows = subscription_rows(page.records)
            read_count += rows.height
            await clerk.do(keep_subscription_events, project, None, rows)
        if read_count and read_count >= CREDIBLE_SHARE * known_count:
            return read_count
    if not known_count:
        return read_count
    raise CleverTapUnavailableError(
        f"CleverTap shows {read_count:,} opt-outs of the last {READ_DAYS} days, but {known_count:,} are known: nobody "
        "is resubscribed on such grounds. Try again later."
    )
