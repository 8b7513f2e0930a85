"""When to ask again: the host's own hint, else a table of delays per reason; after the last one, never. Pure."""

import re
import zlib
from datetime import datetime, timedelta

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.vocabulary import About, Reason

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

MAX_HINT_SECONDS = DAY
JITTER_RATE = 0.10  # upward only: many addresses that were put off together do not come back together
HINT_MARGIN_RATE = 0.05  # clocks differ, and a greylister counts from its own
SHORT_HINT_SECONDS = 10 * MINUTE  # worth waiting for even where every address is asked once
OBEYED_HINTS = 2  # a hint that has proved too short twice no longer beats a longer delay of the table

_TRANSPORT = (15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, 24 * HOUR)

# The n-th delay follows the n-th attempt in vain; an attempt past the end is the last. Reasons that are not listed are
# answers, or nothing that time alone changes.
DELAYS: dict[Reason, tuple[int, ...]] = {
    # RFC 6647 section 5: hosts greylist for minutes up to an hour and forget after some hours to days
    Reason.GREYLISTED: (5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR),
    # RFC 5321 section 4.5.4.1: at least 30 minutes between attempts at a host in trouble, twice in the first hour
    Reason.SERVER_TROUBLE: (15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, 24 * HOUR),
    Reason.CONNECTION_REFUSED: _TRANSPORT,
    Reason.CONNECTION_TIMEOUT: _TRANSPORT,
    Reason.CONNECTION_LOST: _TRANSPORT,
    Reason.COMMAND_TIMEOUT: _TRANSPORT,
    Reason.OUT_OF_STEP: (10 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR),
    Reason.TOO_MANY_RECIPIENTS: (MINUTE,) * 6 + (10 * MINUTE, HOUR),
    # our own way out: the host has not even been asked
    Reason.EGRESS_TROUBLE: (10 * MINUTE,),
    # they have noticed us: come back rarely, and not for long
    Reason.RATE_LIMITED: (30 * MINUTE, 2 * HOUR, 8 * HOUR, 24 * HOUR),
    Reason.RECIPIENT_RATE_LIMITED: (HOUR, 4 * HOUR, 12 * HOUR, 24 * HOUR),
    Reason.PROBER_BLOCKED: (4 * HOUR, 24 * HOUR, 72 * HOUR),
    Reason.SENDER_REFUSED: (24 * HOUR, 72 * HOUR),
    Reason.POLICY_REFUSED: (24 * HOUR, 72 * HOUR),
    Reason.TLS_OR_LOGIN_REQUIRED: (24 * HOUR, 72 * HOUR),
    # hosts that forgot a domain, or that turn us away without saying so
    Reason.RELAY_DENIED: (DAY, 7 * DAY),
    Reason.UNCLEAR_REPLY: (DAY, 7 * DAY),
    # only of a domain in doubt (it accepts what it refused before): a host's 252 never changes
    Reason.CANNOT_VERIFY: (DAY, 3 * DAY, 7 * DAY),
    # the mailbox exists; people do tidy up
    Reason.MAILBOX_FULL: (DAY, 3 * DAY, 7 * DAY),
}

# What has to be said twice is asked again after this long: blocks and registrars' slips seldom last a day.
SECOND_WORD_AFTER = timedelta(days=1)

# Nobody is given up for a fault of ours: the last delay is used again and again.
_NEVER_GIVEN_UP = frozenset({Reason.EGRESS_TROUBLE})

# The address itself was not asked, so that one question is still owed to it.
_NOT_REALLY_ASKED = frozenset({Reason.TOO_MANY_RECIPIENTS, Reason.OUT_OF_STEP, Reason.EGRESS_TROUBLE})

# A host that asks to come back sooner than we would ask a host that has turned us away is obeyed only upward.
_HINT_ONLY_LENGTHENS = frozenset({Reason.PROBER_BLOCKED, Reason.SENDER_REFUSED, Reason.POLICY_REFUSED})

_CUE = (
    r"(?<![a-z])(?:again|back|retry|retries|wait|later|delay(?:ed)?|defer(?:red)?|gr[ea]y-?list(?:ed|ing)?"
    r"|erneut|wieder|nochmals?|réessayer|intentar?|intente|tente|riprovare|riprova|повторите|重试|再试)"
)
_UNIT_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("sekunde", "sekunden", "seconde", "secondes", "segundo", "segundos", "secondi", "秒"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("minuten", "minuto", "minutos", "minuti", "минут", "分", "分钟"), MINUTE),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), HOUR),
    **dict.fromkeys(("stunde", "stunden", "heure", "heures", "hora", "horas", "ora", "ore", "小时"), HOUR),
}
_UNITS = "|".join(sorted(_UNIT_SECONDS, key=len, reverse=True))
_SPELLED = {"a": 1, "an": 1, "one": 1, "two": 2, "five": 5, "ten": 10, "fifteen": 15, "thirty": 30}
_SPELLED_OUT = rf"(?:{'|'.join(_SPELLED)})(?=[\s-])"  # a word of its own: "again as soon as" is not "a s"
_AFTER_A_CUE = re.compile(
    rf"{_CUE}(?P<gap>[^0-9]{{0,40}}?)(?<![\w.])"
    rf"(?:(?P<clock>[0-9]{{1,2}}:[0-9]{{2}}:[0-9]{{2}})|(?P<count>[0-9]{{1,6}}|{_SPELLED_OUT})\s{{0,3}}-?(?P<unit>{_UNITS}))"
    r"(?![a-z0-9])"
)
_MIGHT = re.compile(rf"{_CUE}[^#]{{0,42}}?(?:#|\b(?:{'|'.join(_SPELLED)})\b)")
_RETRY_AFTER = re.compile(r"(?<![a-z])retry[- ]after\s{0,2}[:=]\s{0,2}(?P<count>[0-9]{1,6})(?![0-9.:])")
_SOMETHING_ELSE = ("last", "past", " per ", "every", "letzte")  # "too many in the last 10 minutes" is no promise


def retry_hint(text: str) -> int | None:
    """The patience that a reply asks for, in seconds from 1 to ``MAX_HINT_SECONDS``; None when it names no time.

    >>> retry_hint("Greylisted, please try again in 5 minutes")
    300
    """
    text = text.lower()
    for match in _AFTER_A_CUE.finditer(text):
        if any(word in match["gap"] for word in _SOMETHING_ELSE):
            continue
        if match["clock"]:
            hours, minutes, seconds = map(int, match["clock"].split(":"))
            return _bounded(hours * HOUR + minutes * MINUTE + seconds)
        count = _SPELLED.get(match["count"]) or int(match["count"])
        return _bounded(count * _UNIT_SECONDS[match["unit"]])
    if match := _RETRY_AFTER.search(text):
        return _bounded(int(match["count"]))
    return None


def might_hint(gist: str) -> bool:
    """Whether a text with this gist (digits masked as ``#``) may hold a hint: spares a search in most texts."""
    return _MIGHT.search(gist) is not None


def delay_after(reading: Reading, attempt_count: int) -> timedelta | None:
    """The wait of the table after ``attempt_count`` attempts, without jitter; None when that was the last."""
    delays = _delays(reading)
    if reading.reason in _NEVER_GIVEN_UP:
        attempt_count = min(attempt_count, len(delays))
    return timedelta(seconds=delays[attempt_count - 1]) if 1 <= attempt_count <= len(delays) else None


def attempt_limit(reading: Reading) -> int | None:
    """How often in all an address is asked that gets ``reading`` each time: 1 where it is an answer, None: no end."""
    return None if reading.reason in _NEVER_GIVEN_UP else len(_delays(reading)) + 1


def next_attempt(
    reading: Reading, attempt_count: int, now: datetime, seed: int, *, asks_once: bool = False
) -> datetime | None:
    """When to ask again about an address that got ``reading``, or None when it is answered or given up.

    Args:
        reading: the last reading.
        attempt_count: attempts made so far, this one included (so at least 1).
        now: when the reply came.
        seed: anything that is the same for one address and differs between addresses, such as its id.
        asks_once: one answer has to do, unless the host promises another one shortly.
    """
    delays = _delays(reading)
    attempt = max(attempt_count, 1)
    if asks_once and not _is_worth_a_short_wait(reading, attempt):
        return None
    if reading.reason in _NEVER_GIVEN_UP:
        attempt = min(attempt, len(delays))
    if attempt > len(delays):
        return None
    delay = delays[attempt - 1]
    spread = zlib.crc32(f"{seed}:{attempt}".encode()) / 2**32
    from_table = delay * (1 + JITTER_RATE * spread)
    if reading.retry_seconds is None:
        return now + timedelta(seconds=from_table)
    from_hint = reading.retry_seconds + max(1.0, HINT_MARGIN_RATE * reading.retry_seconds)
    if attempt > OBEYED_HINTS or reading.reason in _HINT_ONLY_LENGTHENS:
        return now + timedelta(seconds=max(from_hint, from_table))
    return now + timedelta(seconds=from_hint)


def second_word_at(refused_at: datetime | None, asked_at: datetime, now: datetime, seed: int) -> datetime | None:
    """When to ask again about an address that was refused in words which count only when they are said twice.

    None where they have been: ``refused_at``, the last time before ``asked_at``, is long enough ago.
    """
    if refused_at is not None and asked_at - refused_at >= SECOND_WORD_AFTER:
        return None
    spread = zlib.crc32(f"{seed}:second".encode()) / 2**32
    return now + SECOND_WORD_AFTER * (1 + JITTER_RATE * spread)


def _is_worth_a_short_wait(reading: Reading, attempt: int) -> bool:
    if reading.reason in _NOT_REALLY_ASKED:
        return True
    return attempt == 1 and reading.retry_seconds is not None and reading.retry_seconds <= SHORT_HINT_SECONDS


def _delays(reading: Reading) -> tuple[int, ...]:
    if reading.reason is Reason.UNCLEAR_REPLY and reading.about is About.TEMPORARY:
        return DELAYS[Reason.SERVER_TROUBLE]
    if reading.reason is Reason.CANNOT_VERIFY and reading.about is not About.TEMPORARY:
        return ()
    return DELAYS.get(reading.reason, ())


def _bounded(seconds: int) -> int:
    return min(max(seconds, 1), MAX_HINT_SECONDS)
