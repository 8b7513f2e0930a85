"""Role words: functions are flagged, people are not."""

import random
import tomllib
from importlib.resources import files

import polars as pl
import pytest

from ct_pipeline.addresses.normalize import normalize_one
from ct_pipeline.addresses.role import is_role, role_mask, role_words
from ct_pipeline_tests.addresses.local_parts import persons
from ct_pipeline_tests.addresses.names_of_languages import NAMES, UNSEEN


def words(text: str) -> list[str]:
    return text.split()


ROLES = words("""
    info postmaster no-reply Support buchhaltung service-client ventas segreteria atendimento klantenservice biuro
    buhgalteria kundtjanst asiakaspalvelu ugyfelszolgalat vanzari musteri_hizmetleri layanan lienhe otoiawase kefu
    sales+emea info+ noreply no_reply do.not-reply customer.care info2 sales-01 sales-eu uk.support info_de
""")
PEOPLE = words("""
    ann ann.lee info.ann hello12 info2020 ann+info +info dev mark ola "info.desk" s.ales i.t h.r hr.in it2 art max
    max.de art2 grace-uk de.lee in eu.
""")
PEOPLE += [""]


@pytest.mark.parametrize("local_part", ROLES)
def test_functions_are_roles(local_part: str) -> None:
    assert is_role(local_part)


@pytest.mark.parametrize("local_part", PEOPLE)
def test_people_are_not(local_part: str) -> None:
    assert not is_role(local_part)


def test_bulk_agrees_and_takes_null() -> None:
    rows = [*ROLES, *PEOPLE, None]
    mask = role_mask(pl.Series(rows))
    assert mask.dtype == pl.Boolean
    assert mask.to_list() == [True] * len(ROLES) + [False] * (len(PEOPLE) + 1)


def test_bulk_of_nothing() -> None:
    assert role_mask(pl.Series([], dtype=pl.String)).to_list() == []
    assert role_mask(pl.Series([None, None])).to_list() == [False, False]


def test_every_mailbox_name_of_rfc_2142_is_a_role() -> None:
    section_3_to_5 = (
        "info marketing sales support abuse noc security postmaster hostmaster usenet news webmaster www uucp"
    )
    assert set(section_3_to_5.split()) | {"ftp"} <= role_words()


def test_every_word_can_match() -> None:
    """A word that is not a normalized local part, or that holds a +, would never be met."""
    groups = tomllib.loads(files("ct_pipeline.addresses").joinpath("role_words.toml").read_text(encoding="utf-8"))
    assert all(group["source"] for group in groups.values())
    for word in role_words():
        assert normalize_one(f"{word}@example.com").local_part == word
        assert "+" not in word


def test_common_names_of_people_are_no_role_words() -> None:
    names = sorted({name for names in (*NAMES.values(), UNSEEN) for name in (*names.first, *names.last)})
    # hr, it and rh are initials too
    names += [one for one in persons(UNSEEN, 20_000, random.Random(3)) if len(one) > 3]
    assert pl.Series(names).filter(role_mask(pl.Series(names))).to_list() == []
