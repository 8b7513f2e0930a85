"""What holds for every string, however it is made up."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_pipeline.addresses.normalize import normalize, normalize_one
from ct_pipeline.addresses.plain import settle_plain
from ct_pipeline.addresses.unusable import KEY_MAX_CHARS

# Pieces of addresses, of their wrappings and of attacks: strings of these reach the rules that random text never does.
PIECES = (
    *(
        "ann",
        "Ann.Lee",
        "a",
        "A",
        "1",
        "ü",
        "İ",
        "ß",
        "ｂ",
        "用户",
        "Σ",
        "é",
        "e\u0301",
        "+x",
        "%40",
        "%0a",
        "%",
        "_",
        "-",
    ),
    *(
        "@",
        "@",
        "@",
        "@",
        "＠",
        ".",
        ".",
        ".",
        "..",
        "。",
        "．",
        "example.com",
        "b.test",
        "bücher",
        ".com",
        ".рф",
        "xn--",
    ),
    *(
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "\x00",
        "\x7f",
        "\x85",
        "\u00a0",
        "\u200b",
        "\u200d",
        "\ufeff",
        "\u00ad",
        "\u202e",
    ),
    *(
        '"',
        "'",
        "<",
        ">",
        "(",
        ")",
        "\\",
        ",",
        ";",
        ":",
        "mailto:",
        "MAILTO:",
        "?",
        "[",
        "]",
        "“",
        "”",
        "\u037e",
        "\ufffd",
    ),
    *(".local", "xn--bcher-kva", "x" * 60, "192.0.2.1", "\u2028", "❤", "\u0338", "\u3000", "＜", "＞"),
)
MESSY = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
PLAIN = st.from_regex(r"\A[ ,]{0,1}[A-Za-z0-9!+._%-]{1,6}@[A-Za-z0-9.-]{1,6}\.[A-Za-z0-9]{1,4}[.;> ]{0,2}\Z")
WRAPPED = st.tuples(
    st.sampled_from(["", "Ann Lee <", '"Lee, A" <', "mailto:", "<mailto:", "'", '"']),
    PLAIN | MESSY,
    st.sampled_from(["", ">", "?subject=x", "'", '"', " (work)", ">;"]),
).map("".join)
STORABLE = MESSY | PRINTABLE | PLAIN | WRAPPED | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ANY_TEXT = STORABLE | st.text(max_size=20) | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Ll", "Po"]))

thorough = settings(max_examples=300, deadline=None)


@thorough
@given(ANY_TEXT)
def test_any_text_is_settled_one_way_or_the_other(raw: str) -> None:
    settled = normalize_one(raw)
    if settled.syntax_reason is None:
        assert settled.address == f"{settled.local_part}@{settled.domain}"
        assert len(settled.address.encode()) <= 254
        assert settled.local_part is not None
        assert 0 < len(settled.local_part.encode()) <= 64
    else:
        assert settled.syntax_reason in ("syntax_error", "unsupported_character")
        assert (settled.local_part, settled.domain) == (None, None)
        assert len(settled.address) <= KEY_MAX_CHARS
        assert settled.address.isprintable()
        settled.address.encode()  # Postgres takes it


@thorough
@given(ANY_TEXT)
def test_a_usable_address_is_its_own_normal_form(raw: str) -> None:
    settled = normalize_one(raw)
    again = normalize_one(settled.address)
    if settled.syntax_reason is None:
        assert (again.address, again.syntax_reason) == (settled.address, None)
    else:
        assert again.syntax_reason is not None or again.address != settled.address, "a key that is an address"


@thorough
@given(ANY_TEXT)
def test_nothing_that_could_end_an_smtp_command_is_in_a_usable_address(raw: str) -> None:
    settled = normalize_one(raw)
    if settled.local_part is None or settled.domain is None:
        return
    assert settled.address.isprintable()
    assert settled.domain.isascii()
    assert set(settled.domain) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    if not settled.local_part.startswith('"'):
        assert not set(settled.local_part) & set(' <>()[]:;@\\,"')
    assert settled.address == settled.address.lower()


@settings(max_examples=100, deadline=None)
@given(st.lists(STORABLE | st.none(), max_size=30))
def test_bulk_and_one_by_one_agree(raws: list[str | None]) -> None:
    frame = normalize(pl.Series(raws, dtype=pl.String))
    expected = [normalize_one(raw or "") for raw in raws]
    assert frame.rows() == [
        (one.raw_email, one.address, one.local_part, one.domain, one.syntax_reason) for one in expected
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(PLAIN | WRAPPED | PRINTABLE | MESSY, min_size=5, max_size=20))
def test_what_the_bulk_path_settles_it_settles_as_the_full_rules_do(raws: list[str]) -> None:
    settled = settle_plain(pl.Series("raw_email", raws)).filter("is_settled")
    for raw, address, local_part, domain, syntax_reason, _ in settled.iter_rows():
        one = normalize_one(raw)
        assert (address, local_part, domain, syntax_reason) == (
            one.address,
            one.local_part,
            one.domain,
            one.syntax_reason,
        )


def test_the_bulk_path_settles_what_most_lists_are_made_of() -> None:
    """Else the property above would hold for a path that settles nothing."""
    raws = [
        " Ann.Lee@Example.com\n",
        "Ann Lee <ann@example.com>",
        '"Lee, Ann" <ann@example.com>',
        "mailto:ann@example.com?subject=a%20b",
        "ann@example.com.",
        "ann@example.com;",
        "n/a",
        "",
    ]
    assert settle_plain(pl.Series("raw_email", raws)).get_column("is_settled").all()
