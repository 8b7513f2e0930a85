"""The score: an estimated chance of delivery in percent, from the published and estimated figures of a table. Pure.

``score_priors.toml`` holds the figures, each with its origin. An account's own bounces and clicks say better: a
:class:`Calibration` made of them replaces the table's figure for whatever group it has enough mail of.
"""

import tomllib
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

from ct_pipeline.verdicts.evidence import Evidence
from ct_pipeline.vocabulary import Reason, Status


class ScoreGroup(NamedTuple):
    """The addresses that share one score: all that it depends on."""

    status: Status
    reason: Reason
    provider: str  # "" but for those that the table or the calibration names
    flags: tuple[str, ...]  # names of the table's factors that apply, in its order


class Calibration(Protocol):
    """What an account's own mail taught. ``version`` is part of the rules version: new figures judge anew."""

    version: str
    providers: frozenset[str]  # those it tells apart

    def percent(self, group: ScoreGroup) -> float | None:
        """The measured chance of delivery, 0 to 100; None where too little was sent."""
        ...


def score_of(
    evidence: Evidence, status: Status, reason: Reason, calibration: Calibration | None = None
) -> tuple[int, str]:
    """The score, 0 to 100, and what it rests on, such as ``valid 97 · role 0.97``."""
    provider = evidence.provider
    if provider not in priors().providers and (calibration is None or provider not in calibration.providers):
        provider = ""
    group = ScoreGroup(status, reason, provider, _flags(evidence, status))
    if calibration is not None and (measured := calibration.percent(group)) is not None:
        return round(measured), "measured"
    return _from_table(group)


def _flags(evidence: Evidence, status: Status) -> tuple[str, ...]:
    is_told_apart = status is not Status.VALID or evidence.is_catch_all is False or evidence.tells_apart is True
    is_in_vain = status is Status.UNKNOWN and evidence.next_attempt_at is None and evidence.attempt_count > 1
    if not (evidence.is_disposable or evidence.is_role or evidence.is_gibberish or is_in_vain or not is_told_apart):
        return ()
    return _names_of(evidence.is_disposable, evidence.is_role, evidence.is_gibberish, not is_told_apart, is_in_vain)


@cache
def _names_of(*applies: bool) -> tuple[str, ...]:
    return tuple(name for name, does in zip(FLAGS, applies, strict=True) if does)


FLAGS = ("disposable", "role", "gibberish", "not_told_apart", "asked_in_vain")


@lru_cache(maxsize=4096)
def _from_table(group: ScoreGroup) -> tuple[int, str]:
    table = priors()
    prior = table.by_provider.get((group.status, group.provider)) if group.reason in _ANSWERED else None
    name = f"{group.status} {group.provider}" if prior else group.status.value
    if prior is None:
        prior = table.by_reason.get((group.status, group.reason))
        name = f"{group.status} {group.reason}" if prior else group.status.value
    if prior is None:
        prior = table.by_status[group.status]
    percent, basis = float(prior.percent), [f"{name} {prior.percent}"]
    for flag in group.flags:
        percent *= table.factors[flag].factor
        basis.append(f"{flag} {table.factors[flag].factor:g}")
    return round(percent), " · ".join(basis)


_ANSWERED = frozenset({Reason.ACCEPTED, Reason.CATCH_ALL})


# -- the table ---


class Prior(NamedTuple):
    """A row that a score starts from."""

    percent: int
    origin: str


class Factor(NamedTuple):
    """A row that lowers it."""

    factor: float
    origin: str


class Priors(NamedTuple):
    """``score_priors.toml``. ``by_status`` is the row of every reason that has none of its own."""

    by_status: dict[Status, Prior]
    by_reason: dict[tuple[Status, Reason], Prior]
    by_provider: dict[tuple[Status, str], Prior]
    factors: dict[str, Factor]
    providers: frozenset[str]


@cache
def priors() -> Priors:
    """The table that comes with the package, checked.

    Raises:
        ValueError: the file contradicts itself; the text names the row.
    """
    return read_priors(files("ct_pipeline.verdicts").joinpath("score_priors.toml").read_text(encoding="utf-8"))


def read_priors(text: str) -> Priors:
    """The table from the text of a TOML file.

    Raises:
        ValueError: a row lacks its origin, says something twice or leaves 0 to 100; or one is missing.
    """
    document = tomllib.loads(text)
    by_status: dict[Status, Prior] = {}
    by_reason: dict[tuple[Status, Reason], Prior] = {}
    by_provider: dict[tuple[Status, str], Prior] = {}
    for row in document.get("prior", []):
        status = Status(row["status"])
        if not row.get("reasons"):
            _put_once(by_status, status, _prior(row))
        for reason in row.get("reasons", []):
            _put_once(by_reason, (status, Reason(reason)), _prior(row))
    for row in document.get("provider", []):
        for name in row["names"]:
            _put_once(by_provider, (Status(row["status"]), name), _prior(row))
    factors = {row["name"]: _factor(row) for row in document.get("factor", [])}
    if missing := [*(set(Status) - by_status.keys()), *(set(FLAGS) - factors.keys())]:
        raise ValueError(f"no row for: {', '.join(sorted(missing))}")
    return Priors(by_status, by_reason, by_provider, factors, frozenset(name for _status, name in by_provider))


def _prior(row: dict[str, Any]) -> Prior:
    if not row.get("origin") or not 0 <= row["percent"] <= 100:
        raise ValueError(f"a prior of {row.get('status')!r} lacks its origin, or is not within 0 to 100")
    return Prior(row["percent"], row["origin"])


def _factor(row: dict[str, Any]) -> Factor:
    if not row.get("origin") or not 0 < row["factor"] <= 1:
        raise ValueError(f"the factor {row.get('name')!r} lacks its origin, or is not within 0 to 1")
    return Factor(row["factor"], row["origin"])


def _put_once(rows: dict[Any, Prior], key: object, prior: Prior) -> None:
    if key in rows:
        raise ValueError(f"{key} is said twice")
    rows[key] = prior
