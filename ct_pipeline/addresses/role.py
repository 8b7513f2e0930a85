"""Whether a local part names a function (``info``, ``buchhaltung``) and so a shared mailbox, not a person."""

import tomllib
from functools import cache
from importlib.resources import files

import polars as pl


def is_role(local_part: str) -> bool:
    """True if ``local_part``, up to its first ``+``, is one of the role words; case does not matter."""
    return local_part.partition("+")[0].lower() in role_words()


def role_mask(local_parts: pl.Series) -> pl.Series:
    """``is_role`` for each row, as ``Boolean``; False where there is no local part."""
    words = pl.Series(sorted(role_words()), dtype=pl.String)
    name = local_parts.cast(pl.String).str.extract(r"^([^+]*)").str.to_lowercase()
    return name.is_in(words.implode()).fill_null(value=False).alias("is_role")


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
