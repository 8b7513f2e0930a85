"""``block_lists.toml``, and what an answer of a block list means, or does not."""

import ipaddress

import pytest

from ct_pipeline.domains.answers import AddressAnswer, Outcome
from ct_pipeline.domains.block_lists import BlockList, ListOf, Standing, load_block_lists, read_block_lists

NOT_THERE = AddressAnswer(Outcome.NO_NAME)
BY_TITLE = {one.title: one for one in load_block_lists()}
ZEN, DBL, SURBL, URIBL = (BY_TITLE[title] for title in ("Spamhaus ZEN", "Spamhaus DBL", "SURBL", "URIBL"))


def records(*addresses: str) -> AddressAnswer:
    return AddressAnswer(Outcome.RECORDS, addresses)


@pytest.mark.parametrize("one", load_block_lists(), ids=lambda one: one.title)
def test_every_row_is_sourced_and_its_codes_are_answers_of_a_block_list(one: BlockList) -> None:
    assert one.source
    assert one.date >= "2026"
    assert one.removal.startswith("https://")
    for code in (*one.codes, *one.refusals):
        assert ipaddress.IPv4Address(code) in ipaddress.IPv4Network("127.0.0.0/8")
    assert not set(one.codes) & set(one.refusals)
    assert all(meaning and not meaning.endswith(".") for meaning in (*one.codes.values(), *one.bits.values()))
    if one.codes and one.of is ListOf.ADDRESS:
        assert one.read(records("127.0.0.2")).standing is Standing.LISTED, "the answer about its test entry"


def test_the_lists_that_matter_most_are_there() -> None:
    assert {"zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org", "dbl.spamhaus.org"} <= {
        one.zone for one in load_block_lists()
    }


@pytest.mark.parametrize(
    ("one", "subject", "name"),
    [
        (ZEN, "192.0.2.45", "45.2.0.192.zen.spamhaus.org"),
        (ZEN, "2001:db8::1", f"1{'.0' * 23}.8.b.d.0.1.0.0.2.zen.spamhaus.org"),
        (BY_TITLE["SpamCop"], "2001:db8::1", None),
        (DBL, "example.com", "example.com.dbl.spamhaus.org"),
    ],
)
def test_what_is_asked(one: BlockList, subject: str, name: str | None) -> None:
    assert one.name_for(subject) == name


@pytest.mark.parametrize(
    ("one", "answer", "standing", "words"),
    [
        (ZEN, NOT_THERE, Standing.CLEAN, ""),
        (ZEN, AddressAnswer(Outcome.NO_RECORDS), Standing.CLEAN, ""),
        (ZEN, records("127.0.0.3"), Standing.LISTED, "CSS: a source of spam, found automatically (127.0.0.3)"),
        (ZEN, records("127.0.0.77"), Standing.LISTED, "a reason that it does not publish (127.0.0.77)"),
        (ZEN, records("127.255.255.254"), Standing.UNKNOWN, "it was asked through a public resolver"),
        (ZEN, records("127.255.255.250"), Standing.UNKNOWN, "it refuses the question"),
        (DBL, records("127.0.1.255"), Standing.UNKNOWN, "it was asked about an address"),
        (BY_TITLE["PSBL"], records("127.255.255.254"), Standing.UNKNOWN, "it refuses the question"),
        (ZEN, records("198.51.100.9"), Standing.UNKNOWN, "it answers 198.51.100.9, which no block list does"),
        (ZEN, AddressAnswer(Outcome.TIMEOUT, detail="nobody answered"), Standing.UNKNOWN, "nobody answered"),
        (ZEN, AddressAnswer(Outcome.SERVER_FAILURE), Standing.UNKNOWN, "server_failure"),
        (SURBL, records("127.0.0.80"), Standing.LISTED, "malware and links in spam (127.0.0.80)"),
        (URIBL, records("127.0.0.1"), Standing.UNKNOWN, "it does not answer this resolver"),
        (URIBL, records("127.0.0.2"), Standing.LISTED, "black: links in spam (127.0.0.2)"),
    ],
)
def test_what_an_answer_means(one: BlockList, answer: AddressAnswer, standing: Standing, words: str) -> None:
    read = one.read(answer)
    assert (read.standing, read.what) == (standing, words)


def test_several_codes_are_several_reasons() -> None:
    assert ZEN.read(records("127.0.0.2", "127.0.0.10")).what.count(";") == 1


@pytest.mark.parametrize(
    ("listed", "clean", "doubt"),
    [
        (records("127.0.0.2"), NOT_THERE, ""),
        (NOT_THERE, NOT_THERE, "it does not answer from here"),
        (records("127.0.0.2"), records("127.0.0.2"), "it lists everyone"),
        (records("127.255.255.254"), records("127.255.255.254"), "it was asked through a public resolver"),
        (records("203.0.113.1"), records("203.0.113.1"), "it answers 203.0.113.1, which no block list does"),
        (records("127.0.0.2"), AddressAnswer(Outcome.TIMEOUT, detail="nobody answered"), "nobody answered"),
    ],
)
def test_a_list_that_is_wrong_about_its_test_entries_is_not_believed(
    listed: AddressAnswer, clean: AddressAnswer, doubt: str
) -> None:
    assert ZEN.doubts(listed, clean) == doubt


ROW = """
[[list]]
title = "One"
zone = "one.test"
of = "address"
removal = "https://one.test/"
source = "one.test"
date = "2026-11"
codes = { "127.0.0.2" = "listed" }
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ROW + ROW, "block lists listed twice: one.test"),
        (ROW.replace('zone = "one.test"', ""), "block list 'One' lacks 'zone'"),
        (ROW + 'colour = "red"', "block list 'One' has unknown keys: colour"),
        (ROW.replace("codes", "refusals"), "block list 'One' says of no answer what it means"),
        (ROW.replace('"address"', '"domain"'), "block list 'One' of domains needs a test_point"),
        (ROW.replace('"address"', '"moon"'), "'moon' is not a valid ListOf"),
    ],
)
def test_a_row_that_does_not_fit_is_named(text: str, words: str) -> None:
    assert len(read_block_lists(ROW)) == 1
    with pytest.raises(ValueError, match=words):
        read_block_lists(text)
