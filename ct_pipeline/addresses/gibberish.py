"""Whether a local part looks drawn at random (``xkqzvbnm``, ``3q5k36cr6g``) instead of chosen by a person.

Each letter is weighed after the two before it: how much likelier it is in a random string than in the names, nicknames
and words of some seventy locales. The sum, in bits, is the score; the weights are ``gibberish_model.toml``.
"""

import tomllib
from functools import cache
from importlib.resources import files

import polars as pl

from ct_pipeline.addresses.local_part import LOCAL_PART_MAX_OCTETS
from ct_pipeline.vocabulary import GibberishThreshold

SYMBOLS = "abcdefghijklmnopqrstuvwxyz0."  # 0: a digit; .: anything else, and both ends
LEAST_BITS = {GibberishThreshold.MEDIUM: 5.5, GibberishThreshold.HIGH: 3.0}
_BATCH_ROWS = 50_000  # 70 bytes and as many weights a row: bounds the memory
_EDGE = SYMBOLS.index(".")
_WIDTH = LOCAL_PART_MAX_OCTETS + 3  # two ends before it, one behind

# Initials and short words carry too little to tell: fewer than five letters are judged only where they follow digits
# twice.
_CAN_BE_TOLD = r"(?:[a-z][^a-z]*){5}|[0-9][a-z].*[0-9][a-z]"


def gibberish_scores(local_parts: pl.Series, weights: pl.Series | None = None) -> pl.Series:
    """How random each row looks, in bits, as ``Float32``: above 0 more like random strings, below 0 more like people.

    0 where nothing can be told: a null, a number, initials, letters beyond a to z. Accents are dropped beforehand, and
    so is a plus tag. ``weights`` are those of another model than the package's.
    """
    rows = local_parts.cast(pl.String)
    weights = model_weights() if weights is None else weights
    batches = [_scores(rows.slice(start, _BATCH_ROWS), weights) for start in range(0, len(rows), _BATCH_ROWS)]
    return (pl.concat(batches) if batches else pl.Series(dtype=pl.Float32)).alias("gibberish_score")


def gibberish_mask(local_parts: pl.Series, threshold: GibberishThreshold) -> pl.Series:
    """Whether each row is called gibberish, as ``Boolean``."""
    if threshold is GibberishThreshold.OFF:
        return pl.repeat(value=False, n=len(local_parts), dtype=pl.Boolean, eager=True).alias("is_gibberish")
    return (gibberish_scores(local_parts) > LEAST_BITS[threshold]).alias("is_gibberish")


def is_gibberish(local_part: str, threshold: GibberishThreshold) -> bool:
    """``gibberish_mask`` of one local part."""
    return gibberish_mask(pl.Series([local_part]), threshold)[0]


def model_provenance() -> tuple[str, str]:
    """Where the weights come from, and the month they were made in."""
    model = _model()
    return model["source"], model["date"]


def _scores(local_parts: pl.Series, weights: pl.Series) -> pl.Series:
    name = local_parts.fill_null("").str.extract(r"^([^+]*)").str.to_lowercase()
    if not name.str.contains(r"^[\x00-\x7f]*$").all():
        name = name.str.normalize("NFKD").str.replace_all(r"\p{Mn}", "")
    is_judged = name.str.contains(_CAN_BE_TOLD) & name.str.contains(r"^[\x00-\x7f]*$")
    judged = name.filter(is_judged).str.head(LOCAL_PART_MAX_OCTETS)
    total = pl.repeat(0.0, len(name), dtype=pl.Float32, eager=True)
    return total.scatter(is_judged.arg_true(), _bits(judged, weights)) if len(judged) else total


def _bits(names: pl.Series, weights: pl.Series) -> pl.Series:
    """The sum of the weights of each row: ASCII, lower case, at most ``LOCAL_PART_MAX_OCTETS`` long."""
    framed = (".." + names).str.pad_end(_WIDTH, ".")
    octets = framed.cast(pl.Binary).bin.reinterpret(dtype=pl.Array(pl.UInt8, _WIDTH)).explode()
    symbol = _symbols().gather(octets)
    count = len(SYMBOLS)
    three = (symbol.shift(2, fill_value=_EDGE) * count + symbol.shift(1, fill_value=_EDGE)) * count + symbol
    return weights.gather(three).reshape((len(names), _WIDTH)).arr.sum()


@cache
def _symbols() -> pl.Series:
    """The number of the symbol that each octet stands for."""
    letters = [chr(octet) for octet in range(256)]
    numbers = [
        SYMBOLS.index("0" if one in "0123456789" else one) if one in SYMBOLS + "0123456789" else _EDGE
        for one in letters
    ]
    return pl.Series(numbers, dtype=pl.UInt16)


@cache
def model_weights() -> pl.Series:
    """Bits for each three symbols, by the number ``(first * 28 + second) * 28 + third``."""
    model = _model()
    assert model["symbols"] == SYMBOLS, "the model was made for other symbols"
    steps = [int(step) for pair in (a + b for a in SYMBOLS for b in SYMBOLS) for step in model["rows"][pair].split()]
    return pl.Series(steps, dtype=pl.Float32) / model["steps_per_bit"]


@cache
def _model() -> dict:
    return tomllib.loads(files("ct_pipeline.addresses").joinpath("gibberish_model.toml").read_text(encoding="utf-8"))
