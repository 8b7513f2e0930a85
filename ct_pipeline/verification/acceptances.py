"""Acceptances that are no proof yet, by domain. Pure.

One is *held* while nobody knows whether its domain accepts every name. Once it is written down it stays *unconfirmed*
until the domain clearly refuses another name: the host may have begun to accept everything before it.
"""

from typing import NamedTuple

from ct_pipeline.verification.probe import DueAddress


class Held(NamedTuple):
    """An accepted address and its probe. ``is_suspect``: the acceptance contradicts what is known of the domain."""

    due: DueAddress
    probe_id: int
    is_suspect: bool = False


class Acceptances:
    """What one site's run has accepted so far."""

    def __init__(self) -> None:
        self._held: dict[str, list[Held]] = {}
        self._unconfirmed: dict[str, list[DueAddress]] = {}

    def hold(self, held: Held) -> None:
        self._held.setdefault(held.due.domain, []).append(held)

    def release(self, domain: str) -> list[Held]:
        """Who was held; from now on nobody is."""
        return self._held.pop(domain, [])

    def release_all(self) -> list[Held]:
        held = [one for of_domain in self._held.values() for one in of_domain]
        self._held.clear()
        return held

    def write_down(self, due: DueAddress) -> None:
        self._unconfirmed.setdefault(due.domain, []).append(due)

    def confirm(self, domain: str) -> None:
        """The domain has clearly refused a name."""
        self._unconfirmed.pop(domain, None)

    def take_back(self, domain: str) -> list[DueAddress]:
        """Who was written down and never confirmed."""
        return self._unconfirmed.pop(domain, [])
