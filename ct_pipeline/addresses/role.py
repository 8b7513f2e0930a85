"""Whether a local part names a function (``info``, ``buchhaltung``) and so a shared mailbox, not a person."""

import tomllib
from functools import cache
from importlib.resources import files

import polars as pl

# Who a mailbox of one function in many places is for: sales-eu, info.uk.
_PLACES = (
    "ae|africa|america|apac|asia|at|au|be|benelux|br|ca|ch|china|cn|cz|dach|de|dk|emea|es|eu|europe|fi|fr|gcc|global|hk|"
    "hq|hu|id|ie|il|in|india|international|intl|it|jp|kr|ksa|latam|mea|mena|mx|my|nl|no|nordic|nordics|north|ny|nz|ph|pl|"
    "pt|ro|ru|sa|se|sg|south|th|tr|tw|uae|uk|us|usa|vn|za"
)
_PLACE_BEHIND = rf"[._-](?:{_PLACES})$"
_PLACE_IN_FRONT = rf"^(?:{_PLACES})[._-]"
_NUMBER_BEHIND = r"[._-]?[0-9]{1,2}$"
# Each part of two letters or more, since s.ales@ and i.t@ are people.
_PARTS = r"^[^._-]{2,}(?:[._-][^._-]{2,})+$"
_LEAST_LETTERS = 4  # of a word that may have a place or a number: hr.in, it.us and pr12 are as likely people
_ALONE = ("hello", "hola", "ciao", "bonjour", "test", "tester", "testing", "people", "everyone")  # hello12 is a person


def is_role(local_part: str) -> bool:
    """``role_mask`` of one local part."""
    return role_mask(pl.Series([local_part]))[0]


def role_mask(local_parts: pl.Series) -> pl.Series:
    """Whether each row is one of the role words, as ``Boolean``; False where there is no local part.

    What follows a ``+`` does not count, nor does case. A word may be joined or parted otherwise than it is listed
    (``noreply``, ``no.reply``); longer ones may have a place (``sales-eu``, ``uk.support``) or a number of two digits
    (``info2``).
    """
    whole = local_parts.cast(pl.String).str.extract(r"^([^+]*)").str.to_lowercase()
    rows = pl.DataFrame({"whole": whole}).with_columns(
        placed=pl.col("whole").str.replace(_PLACE_BEHIND, "").str.replace(_PLACE_IN_FRONT, ""),
        numbered=pl.col("whole").str.replace(_NUMBER_BEHIND, ""),
    )
    is_long = {name: pl.col(name).str.len_bytes() >= _LEAST_LETTERS for name in ("placed", "numbered")}
    found = rows.select(
        _is_word(pl.col("whole"))
        | (is_long["placed"] & _is_word(pl.col("placed")))
        | (is_long["numbered"] & _is_word(pl.col("numbered")) & ~pl.col("numbered").is_in(_ALONE))
    )
    return found.to_series().fill_null(value=False).alias("is_role")


def _is_word(name: pl.Expr) -> pl.Expr:
    as_one = pl.when(name.str.contains(_PARTS)).then(name.str.replace_all("[._-]", "")).otherwise(name)
    return name.is_in(_listed().implode()) | as_one.is_in(_joined().implode())


@cache
def _listed() -> pl.Series:
    return pl.Series(sorted(role_words()), dtype=pl.String)


@cache
def _joined() -> pl.Series:
    return _listed().str.replace_all("[._-]", "").unique()


@cache
def role_words() -> frozenset[str]:
    """All words of ``role_words.toml``, read from the package once."""
    return frozenset(word for group in _groups().values() for word in group["words"])


def date_of_role_words() -> str:
    """The month of the newest group."""
    return max(group["date"] for group in _groups().values())


@cache
def _groups() -> dict[str, dict]:
    return tomllib.loads(files("ct_pipeline.addresses").joinpath("role_words.toml").read_text(encoding="utf-8"))
