"""Gibberish: random strings are flagged, people of many languages are not."""

import random
import statistics

import polars as pl
import pytest

from ct_pipeline.addresses.gibberish import gibberish_mask, gibberish_scores, is_gibberish, model_provenance
from ct_pipeline.vocabulary import GibberishThreshold
from ct_pipeline_tests.addresses.local_parts import persons, random_strings
from ct_pipeline_tests.addresses.names_of_languages import NAMES, UNSEEN

OFF, MEDIUM, HIGH = GibberishThreshold
PERSONS, STRINGS = 3_000, 5_000


def _words(text: str) -> list[str]:
    return text.split()


PEOPLE = _words("""
    john.smith84 jsmith mkowalski xx_dragon_xx jfk rk1985 lwx888 9876543210 +919876543210 nguyenthiphuong przybylski
    rkbsharma kbhatt vvs.murthy r2d2 4ever21 josé.garcía łukasz иван.петров 王小明 김민준 "" "info.desk" ng.wk
    mary+xkqzvbnm
""")
NOBODY = _words("""
    xkqzvbnm asdfghjkl qwertyuiop zxcvbnm skgjhdfk dfgdfgdf 3q5k36cr6g 7b975a39 a1b2c3d4 hrtwqpxz XKQZVBNM xkqzvbnm+news
""")


def share(local_parts: list[str], threshold: GibberishThreshold) -> float:
    return statistics.fmean(gibberish_mask(pl.Series(local_parts), threshold))


@pytest.mark.parametrize("local_part", PEOPLE)
def test_people_numbers_and_other_scripts_are_left_alone(local_part: str) -> None:
    assert not is_gibberish(local_part, MEDIUM)


@pytest.mark.parametrize("local_part", NOBODY)
def test_random_strings_are_flagged_unless_it_is_switched_off(local_part: str) -> None:
    assert is_gibberish(local_part, MEDIUM)
    assert is_gibberish(local_part, HIGH)
    assert not is_gibberish(local_part, OFF)


def test_at_most_one_real_name_of_a_hundred_is_flagged() -> None:
    rng = random.Random(20261128)
    rates = {language: share(persons(names, PERSONS, rng), MEDIUM) for language, names in NAMES.items()}
    assert statistics.fmean(rates.values()) <= 0.005
    assert {language: rate for language, rate in rates.items() if rate > 0.01} == {}


def test_names_that_were_not_trained_with_fare_as_well() -> None:
    assert share(persons(UNSEEN, 10_000, random.Random(20261128)), MEDIUM) <= 0.01


def test_at_least_nine_random_strings_of_ten_are_flagged() -> None:
    rng = random.Random(20261128)
    assert share(random_strings(STRINGS, rng), MEDIUM) >= 0.95
    assert share(random_strings(STRINGS, rng, least=10, most=10), MEDIUM) >= 0.9
    assert share(random_strings(STRINGS, rng, least=9, most=9), HIGH) >= 0.9


def test_rows_are_scored_one_by_one_whatever_stands_beside_them() -> None:
    rows = [*PEOPLE, None, *NOBODY, "é" * 64, "x" * 64, "a" * 500]
    together = gibberish_scores(pl.Series(rows))
    assert together.dtype == pl.Float32
    assert together.null_count() == 0
    alone = [gibberish_scores(pl.Series([row], dtype=pl.String))[0] for row in rows]
    assert together.to_list() == pytest.approx(alone, abs=0.01)


def test_bulk_of_nothing() -> None:
    for threshold in GibberishThreshold:
        assert gibberish_mask(pl.Series([], dtype=pl.String), threshold).to_list() == []
        assert gibberish_mask(pl.Series([None, None]), threshold).to_list() == [False, False]


def test_the_model_says_where_it_comes_from() -> None:
    source, date = model_provenance()
    assert "Faker" in source
    assert date.startswith("20")
