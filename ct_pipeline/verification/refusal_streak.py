"""Clear refusals in a row at one site, with nobody accepted between: what they are worth. Pure.

"No such user" is also what some hosts say to everybody once they distrust whoever asks. So a long row is believed only
when the site accepts somebody after it: then all of it stands. Until then each of it has to be heard a second time,
a day later. If an address that was accepted before is refused now, nothing of the row is believed.
"""

from datetime import datetime
from typing import NamedTuple

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.probe import DueAddress
from ct_pipeline.verification.recheck import SECOND_WORD_AFTER

# A tenth of a list being dead, ten in a row are chance once in ten billion; six tenths, once in 165 rows, and the
# witness costs a host at most one question more for ten. What the guard cannot see are nine people at most.
LONG_ROW = 10


class Refused(NamedTuple):
    """An address of the list that was refused in clear words, and the probe that shows it."""

    due: DueAddress
    reading: Reading
    probe_id: int
    asked_at: datetime


class RefusalStreak:
    """The row at one site, of proven answers.

    ``refuses_us``: the site has come to refuse whom it accepted. Where an earlier run found that, the first acceptance
    of this one ends it; where this run does, nothing that it still hears makes up for it.
    """

    def __init__(self, *, refuses_us: bool = False) -> None:
        self.refuses_us = refuses_us
        self._is_retracted = False
        self._row: list[Refused] = []
        self._open_ids: set[int] = set()  # addresses of the row that are not believed as they stand
        self._is_all_open = False

    @property
    def has_row(self) -> bool:
        return bool(self._row)

    @property
    def waits(self) -> bool:
        """Whether it makes a difference that somebody is accepted."""
        return bool(self._row) or self.refuses_us

    def add(self, refused: Refused) -> list[Refused]:
        """One more; returns those that are not to be believed as they stand, each once."""
        self._row.append(refused)
        before = refused.due.refused_at
        waits_for_second_word = before is not None and refused.asked_at - before < SECOND_WORD_AFTER
        if self.refuses_us or waits_for_second_word:
            return self._keep_open([refused])
        if len(self._row) < LONG_ROW:
            return []
        was_all_open, self._is_all_open = self._is_all_open, True
        return self._keep_open([refused] if was_all_open else [one for one in self._row if not self._is_open(one)])

    def confirm(self, asked_at: datetime) -> list[Refused]:
        """The site has accepted somebody who was asked then: whom it refused before, it refused in earnest.

        Returns those among them that were kept open.
        """
        if self._is_retracted:
            return []
        self.refuses_us = False
        if not self._row:
            return []
        confirmed = [one for one in self._row if one.asked_at <= asked_at]
        self._row = [one for one in self._row if one.asked_at > asked_at]
        to_close = [one for one in confirmed if self._is_open(one)]
        self._is_all_open = False
        self._open_ids.difference_update(one.due.address_id for one in to_close)
        return to_close

    def retract(self) -> list[Refused]:
        """The site refuses whom it accepted: returns the row, of which nothing is believed."""
        self.refuses_us = self._is_retracted = True
        row, self._row = self._row, []
        return row

    def _is_open(self, one: Refused) -> bool:
        return one.due.address_id in self._open_ids

    def _keep_open(self, some: list[Refused]) -> list[Refused]:
        self._open_ids.update(one.due.address_id for one in some)
        return list(some)
