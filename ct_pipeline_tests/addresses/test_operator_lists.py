"""Allow and block lists: what an entry covers, which of two decides, and what a bad line is told."""

import pytest

from ct_pipeline.addresses.operator_lists import (
    MOST_ENTRIES,
    NO_LISTS,
    ListFaultsError,
    Listing,
    OperatorLists,
    read_entries,
)

BLOCK = """
# partners of old
Ann@Example.com   # moved
example.net
*.Example.org.
@bücher.example
*@all.example
.RU
*.xn--p1ai
a#b@example.com
"""


def lists(allow: str = "", block: str = "") -> OperatorLists:
    return OperatorLists(read_entries(allow.splitlines(), "allow"), read_entries(block.splitlines(), "block"))


def test_entries_are_made_comparable() -> None:
    assert read_entries(BLOCK.splitlines(), "block") == {
        "ann@example.com", "example.net", "*.example.org", "xn--bcher-kva.example", "all.example", ".ru", ".xn--p1ai",
        "a#b@example.com",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("address", "entry"),
    [
        ("ann@example.com", "ann@example.com"),
        ("joe@example.net", "example.net"),
        ("joe@mail.example.org", "*.example.org"),
        ("joe@a.b.example.org", "*.example.org"),
        ("joe@yandex.ru", ".ru"),
        ("joe@a.b.xn--p1ai", ".xn--p1ai"),
    ],
)
def test_covered(address: str, entry: str) -> None:
    covers = "address" if "@" in entry else "domain"
    assert lists(block=BLOCK).listing_of(address) == Listing(is_allowed=False, covers=covers, entry=entry)


@pytest.mark.parametrize(
    "address",
    [
        "ann+news@example.com",
        "joe@example.com",
        "joe@mail.example.net",
        "joe@example.org",
        "joe@ru.example",
        "a b@",
        "",
    ],
)
def test_not_covered(address: str) -> None:
    assert lists(block=BLOCK).listing_of(address) is None
    assert NO_LISTS.listing_of(address) is None


@pytest.mark.parametrize(
    ("allow", "block", "is_allowed"),
    [
        ("ann@shop.example", "shop.example", True),
        ("shop.example", "ann@shop.example", False),
        ("*.example", "shop.example", False),
        (".example", "*.shop.example", True),  # *.shop.example does not cover shop.example itself
        ("shop.example", "shop.example", True),
        ("ann@shop.example", "ann@shop.example", True),
    ],
)
def test_the_most_exact_entry_decides_and_allow_among_equals(allow: str, block: str, is_allowed: bool) -> None:
    listing = lists(allow, block).listing_of("ann@shop.example")
    assert listing is not None
    assert listing.is_allowed is is_allowed


def test_the_longest_wildcard_decides() -> None:
    both = lists(allow="*.eu.shop.example", block="*.shop.example")
    assert both.listing_of("ann@x.eu.shop.example") == Listing(True, "domain", "*.eu.shop.example")
    assert both.listing_of("ann@eu.shop.example") == Listing(False, "domain", "*.shop.example")


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ("ann@example.com, joe@example.com", "one entry a line"),
        ("example.com example.net", "one entry a line"),
        ("*example.com", "only at the front"),
        ("ann*@example.com", "only at the front"),
        ("mail.*.com", "only at the front"),
        (".example.com", "*.domain"),
        ("localhost", "an address, a domain"),
        ("ann@", "an address, a domain"),
        ("*.", "only at the front"),
        (".", "an address, a domain"),
        ("a" * 2000, "longer than any entry"),
    ],
)
def test_a_bad_line_is_told_with_its_place_and_its_mend_but_not_repeated(line: str, mend: str) -> None:
    with pytest.raises(ListFaultsError) as caught:
        read_entries(["example.org", line], "block.txt")
    text = str(caught.value)
    assert text.startswith("block.txt, line 2: ")
    assert mend in text
    assert "joe@" not in text


def test_of_many_bad_lines_the_first_are_told() -> None:
    with pytest.raises(ListFaultsError) as caught:
        read_entries(["not one"] * 1000, "block.txt")
    assert len(str(caught.value).splitlines()) == 11


def test_a_list_is_bounded() -> None:
    with pytest.raises(ListFaultsError, match="more than 500,000 entries"):
        read_entries((f"d{number}.example" for number in range(MOST_ENTRIES + 1)), "block.txt")


def test_the_version_follows_the_entries_and_nothing_else() -> None:
    one = lists(allow="a.example\nb.example", block="c.example")
    assert one.version == lists(allow="# note\nB.example\n\na.example", block="c.example ").version
    assert one.version != lists(allow="a.example", block="b.example\nc.example").version
    assert one.version != lists(block="a.example\nb.example", allow="c.example").version
    assert NO_LISTS.version == "none"
