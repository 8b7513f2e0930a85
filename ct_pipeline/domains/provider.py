"""One provider of mailboxes: who runs some mail hosts, and how to behave there."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ct_pipeline.domains.provider_source import Source


class RandomProbe(StrEnum):
    """When the name that cannot exist is asked for, to see whether a domain is a catch-all."""

    SAME_SESSION = "same_session"
    OWN_SESSION = "own_session"  # the provider punishes unknown recipients: keep the punishment out of the real session
    NEVER = "never"  # its answer would prove nothing, or asking is forbidden


class Probing(StrEnum):
    """What the provider says of being asked about addresses without a message to deliver."""

    ALLOWED = "allowed"  # or nothing at all
    DISCOURAGED = "discouraged"
    FORBIDDEN = "forbidden"  # not probed unless the operator opts in


class Accepts(StrEnum):
    """How far a 250 at RCPT can be believed."""

    BELIEVED = "believed"  # as at a host that nobody knows: unless a random name is accepted too
    IN_DOUBT = "in_doubt"  # some of its domains accept every name: only a refused random name makes a 250 an answer
    HIDDEN = "hidden"  # says nothing about the mailbox, ever


class Refuses(StrEnum):
    """How far a 550 at RCPT, in words that mean an unknown mailbox, can be believed."""

    BELIEVED = "believed"
    IN_DOUBT = "in_doubt"  # the same words are known to be said of living mailboxes: one refusal proves nothing


LIMITS = {
    "connections": "{} connections",
    "session_addresses": "{} addresses a session",
    "connections_per_minute": "{:g} connections a minute",
    "addresses_per_second": "{:g} addresses a second",
    "window": "{} at once",
}
CLAIMS = ("mx", "limits", "pipelining", "random_probe", "probing", "accepts", "refuses", "free")


@dataclass(frozen=True, slots=True)
class Provider:
    """One row. Limits (``connections`` to ``addresses_per_second``) are None where only the settings' default is known.

    ``source`` says for each of :data:`CLAIMS` where it comes from; ``none`` where nowhere.
    """

    name: str
    title: str
    mx_suffixes: tuple[str, ...]  # with the leading dot; the longest one that fits decides
    mx_hosts: tuple[str, ...]
    free_domains: tuple[str, ...]
    has_lane: bool
    connections: int | None
    session_addresses: int | None
    window: int | None  # RCPTs in one pipelined group; 1: it is not to be pipelined
    connections_per_minute: float | None
    addresses_per_second: float | None
    random_probe: RandomProbe
    probing: Probing
    accepts: Accepts
    refuses: Refuses
    source: Mapping[str, Source]

    @property
    def hides_answer(self) -> bool:
        """Whether no answer at RCPT says anything about the mailbox, so that asking is of no use."""
        return self.accepts is Accepts.HIDDEN

    @property
    def limits_in_words(self) -> str:
        """The limits that the row states, or ``default``."""
        stated = [(getattr(self, limit), words) for limit, words in LIMITS.items()]
        return ", ".join(words.format(value) for value, words in stated if value is not None) or "default"


@dataclass(frozen=True, slots=True)
class FreeList:
    """Consumer mail domains that belong to no row."""

    domains: tuple[str, ...]
    source: Source
