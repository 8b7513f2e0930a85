"""A site's share of a lane's work."""

from dataclasses import dataclass

from ct_pipeline.verification.host_group import HostGroup


@dataclass(frozen=True, slots=True)
class SiteLimits:
    """The most that one site is asked from one egress. ``window`` is how many RCPTs go out in one group; 1: alone."""

    connections: int
    session_addresses: int
    window: int
    connections_per_minute: float
    addresses_per_second: float


@dataclass(frozen=True)
class SitePlan:
    """What to ask of which hosts of one site, and within which limits."""

    site: str
    lane: str
    provider: str
    limits: SiteLimits
    groups: tuple[HostGroup, ...]
    asks_once: bool = False  # what is not settled by the first answer is left as it is
