"""Refusals of one domain in vague words, and the accepted address that tells what they were worth. Pure.

A host that has come to refuse everybody refuses it too when it is asked again, at the end of the domain.
"""

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.domain_knowledge import is_unclear_refusal
from ct_pipeline.verification.probe import DueAddress
from ct_pipeline.vocabulary import Reason


class VagueRefusals:
    """Counts them as they are heard. ``has_any``: there was one, on this visit."""

    def __init__(self) -> None:
        self.has_any = False
        self._count = 0  # since the last acceptance
        self._witness: DueAddress | None = None  # the last that was accepted, until it has been asked again

    @property
    def has_witness(self) -> bool:
        """Somebody was accepted, and has not been asked again."""
        return self._witness is not None

    @property
    def want_witness(self) -> bool:
        """There were some since that acceptance."""
        return self._count > 0 and self.has_witness

    def hear(self, due: DueAddress | None, reading: Reading) -> None:
        """What was answered to an address of the list, or to another question."""
        is_vague = is_unclear_refusal(reading)
        self.has_any |= is_vague
        if due is None:
            return
        if reading.reason is Reason.ACCEPTED:
            self._witness, self._count = due, 0
        elif is_vague:
            self._count += 1

    def take_witness(self) -> DueAddress | None:
        """Whom to ask again; nobody twice."""
        witness, self._witness = self._witness, None
        return witness
