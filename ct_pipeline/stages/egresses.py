"""Which identities we probe from, which lane is bound to which of them, and which ones this machine works.

Limits, breakers and greylisting hold for one egress and one site, so a lane has exactly one egress: whoever works on a
lane needs no agreement with anyone else.
"""

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from ct_pipeline.domains.lanes import SMALL_LANES, lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings
from ct_pipeline.stages.egress_file import EgressRow, read_egress_file
from ct_pipeline.verification.egress import DEFAULT_EGRESS, Egress, Envelope

_BELONGS_INTO_THE_FILE = ("other_mail_from", "source_address", "proxy")
_NAMES_SHOWN = 6


class Egresses:
    """All egresses, by lane. Made by :func:`load_egresses`."""

    def __init__(self, rows: Sequence[EgressRow], by_lane: Mapping[str, EgressRow], own: Collection[str]) -> None:
        self.rows = tuple(rows)
        self._by_lane = by_lane
        self._own = frozenset(own)

    def of_lane(self, lane: str) -> Egress:
        """The one egress that works ``lane``."""
        return self._by_lane[lane].egress

    def is_own(self, egress: Egress) -> bool:
        """Whether this machine works the lanes of ``egress``."""
        return egress.name in self._own

    def has_lane(self, lane: str) -> bool:
        """Whether ``lane`` is one: the ledger may name lanes of an earlier version."""
        return lane in self._by_lane

    def works(self, lane: str) -> bool:
        """Whether this machine works ``lane``; nobody works one that is no lane any more."""
        return lane in self._by_lane and self.is_own(self.of_lane(lane))

    def lanes_of(self, row: EgressRow) -> list[str]:
        """The lanes of one row, in their order."""
        return [lane for lane, taker in self._by_lane.items() if taker is row]

    def rows_for(self, lanes: Collection[str]) -> list[EgressRow]:
        """The rows that ``lanes`` are bound to, each once."""
        return [row for row in self.rows if any(self._by_lane[lane] is row for lane in lanes)]


def load_egresses(settings: Settings) -> Egresses:
    """The egresses of the file that ``settings`` name, or the one that the settings themselves make.

    Raises:
        SettingsError: something does not fit; the text names variable, or file and row, and the mend.
    """
    lanes = lane_keys(load_providers())
    if settings.egress_file is None:
        rows = [_row_of_settings(settings)]
    else:
        _refuse_what_belongs_into_the_file(settings)
        rows = read_egress_file(settings.egress_file, settings)
    for row in rows:
        if row.egress.other_mail_from == row.egress.envelope.mail_from:
            mend = "Give another address, <> for the null sender, or leave it out."
            raise SettingsError(f"{row.setting('other_mail_from')} is the same as mail_from. {mend}")
    names = [row.egress.name for row in rows]
    if unknown := sorted(set(settings.own_egresses) - set(names)):
        raise SettingsError(f"CT_OWN_EGRESSES names {_some(unknown)}; the egresses are {_some(names)}.")
    return Egresses(rows, bind_lanes(rows, lanes), settings.own_egresses or names)


def bind_lanes(rows: Sequence[EgressRow], lanes: Sequence[str]) -> dict[str, EgressRow]:
    """The row of each of ``lanes``.

    Raises:
        SettingsError: a lane is unknown, claimed twice, or nobody's.
    """
    taken: dict[str, EgressRow] = {}
    for row in rows:
        for pattern in row.lanes or ():
            matching = [lane for lane in lanes if fnmatchcase(lane, pattern)]
            if not matching:
                named = ", ".join(lane for lane in lanes if not lane.startswith(SMALL_LANES))
                mend = f"Lanes are {named} and {SMALL_LANES}00 to {lanes[-1]}; {SMALL_LANES}* means all of these."
                raise SettingsError(f"{row.place}: no lane is called {pattern!r}. {mend}")
            if other := next((taken[lane] for lane in matching if taken.get(lane, row) is not row), None):
                clash = [lane for lane in matching if taken.get(lane) is other]
                mend = "A lane has one egress: take it out of one of them."
                raise SettingsError(f"{row.place}: {other.place} has the lanes {_some(clash)} already. {mend}")
            taken.update(dict.fromkeys(matching, row))
    _give_away_the_rest(rows, [lane for lane in lanes if lane not in taken], taken)
    return {lane: taken[lane] for lane in lanes}


def _give_away_the_rest(rows: Sequence[EgressRow], rest: Sequence[str], taken: dict[str, EgressRow]) -> None:
    takers = [row for row in rows if row.lanes is None]
    if len(takers) > 1:
        mend = "Say in one of them which lanes it takes."
        raise SettingsError(f"{takers[1].place} has no lanes, and {takers[0].place} takes the rest already. {mend}")
    if takers and not rest:
        mend = "Leave them some, or remove it."
        raise SettingsError(f"{takers[0].place} has no lanes, and the other rows take every one. {mend}")
    if rest and not takers:
        mend = "Add them to a row, or write a row without lanes, which takes the rest."
        raise SettingsError(f"{rows[0].place.partition(',')[0]}: no row takes the lanes {_some(rest)}. {mend}")
    for row in takers:
        taken.update(dict.fromkeys(rest, row))


def _row_of_settings(settings: Settings) -> EgressRow:
    if settings.source_address and settings.proxy:
        raise SettingsError("CT_SOURCE_ADDRESS and CT_PROXY exclude each other: unset one.")
    egress = Egress(
        name=DEFAULT_EGRESS,
        envelope=Envelope(settings.helo_name, settings.mail_from),
        other_mail_from=settings.other_mail_from,
        source_address=settings.source_address,
        proxy=settings.proxy,
    )
    return EgressRow(egress, None, "")


def _refuse_what_belongs_into_the_file(settings: Settings) -> None:
    for name in _BELONGS_INTO_THE_FILE:
        if getattr(settings, name) is not None:
            mend = f"Write {name} into the rows of the file, and unset the variable."
            raise SettingsError(f"CT_{name.upper()} is set beside CT_EGRESS_FILE. {mend}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
