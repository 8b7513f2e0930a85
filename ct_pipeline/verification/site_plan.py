"""A site's share of a lane's work."""

from dataclasses import dataclass

from ct_pipeline.verification.host_group import HostGroup


@dataclass(frozen=True)
class SitePlan:
    """Limits toward one site, and what to ask of which of its hosts."""

    site: str
    lane: str
    provider: str
    connections: int
    session_addresses: int
    groups: tuple[HostGroup, ...]
    window: int = 20
