"""What the pipeline did to the sandbox's CleverTap account, against the truth that only the sandbox knows (pure)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ct_pipeline.sandbox.grading import is_dead
from ct_pipeline.sandbox.population import Mailbox

ProfileState = Mapping[str, Any]
"""One profile as the simulator's ``state`` tells it."""


@dataclass(frozen=True, slots=True)
class AccountChange:
    """Addresses and profiles that differ between two states of an account; addresses as CleverTap spells them."""

    unsubscribed: frozenset[str]
    unsubscribed_though_alive: frozenset[str]
    still_subscribed_though_dead: frozenset[str]  # what was not unsubscribed, for whatever reason
    changed_property_count: int
    profiles_with_new_properties: int
    made_profile_count: int  # by a write that named nobody: must be none


def account_change(
    before: Sequence[ProfileState], after: Sequence[ProfileState], mailboxes: Collection[Mailbox]
) -> AccountChange:
    """What became of the account between the two states."""
    dead = _dead_addresses(after, mailboxes)
    opted_out = _opted_out(after)
    unsubscribed = opted_out - _opted_out(before)
    old_properties = {_key(profile): profile["properties"] for profile in before}
    changed = [_changed(old_properties.get(_key(profile), {}), profile["properties"]) for profile in after]
    return AccountChange(
        unsubscribed=frozenset(unsubscribed),
        unsubscribed_though_alive=frozenset(unsubscribed - dead),
        still_subscribed_though_dead=frozenset(dead - opted_out),
        changed_property_count=sum(changed),
        profiles_with_new_properties=sum(count > 0 for count in changed),
        made_profile_count=sum(profile["is_made_by_upload"] for profile in after),
    )


def _dead_addresses(state: Sequence[ProfileState], mailboxes: Collection[Mailbox]) -> set[str]:
    truth = {mailbox.address: mailbox for mailbox in mailboxes}
    return {
        profile["email"]
        for profile in state
        # a cell that is no address at all has no mailbox
        if profile["email"] and (profile["mailbox"] is None or is_dead(truth[profile["mailbox"]]))
    }


def _opted_out(state: Sequence[ProfileState]) -> set[str]:
    return {profile["email"] for profile in state if profile["email"] and profile["is_dnd"]}


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> int:
    return sum(old.get(name) != new.get(name) for name in {*old, *new})


def _key(profile: ProfileState) -> str:
    return profile["object_ids"][0]
