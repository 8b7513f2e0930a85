"""Every rule of normalization by example: what becomes one address, what is none, and the reason why."""

import polars as pl
import pytest

from ct_pipeline.addresses.normalize import normalize, normalize_one

USABLE = [
    # case and margins
    ("ann@example.com", "ann@example.com"),
    ("Ann.Lee@Example.COM", "ann.lee@example.com"),
    (" \t ann@example.com \r\n", "ann@example.com"),
    ("ann@example.com,", "ann@example.com"),
    ("; ann@example.com;", "ann@example.com"),
    ("ann@example.com.", "ann@example.com"),
    ("o'brien+news/a=b!#$%&*?^_`{|}~-@example.com", "o'brien+news/a=b!#$%&*?^_`{|}~-@example.com"),
    ("ann @ example.com", "ann@example.com"),
    # wrappings
    ("<ann@example.com>", "ann@example.com"),
    ("Ann Lee <Ann@example.com>", "ann@example.com"),
    ('"Lee, Ann (Sales)" < ann@example.com >', "ann@example.com"),
    ("ann@other.example <ann@example.com>", "ann@example.com"),
    ("José Ünal <ann@example.com>", "ann@example.com"),
    ("<<ann@example.com>>", "ann@example.com"),
    ('"ann@example.com"', "ann@example.com"),
    ("'ann@example.com'", "ann@example.com"),
    ("“ann@example.com”", "ann@example.com"),
    ("mailto:ann@example.com", "ann@example.com"),
    ("MailTo:Ann@example.com?subject=Hello%20you&cc=b@c.de", "ann@example.com"),
    ("mailto:ann%40example.com", "ann@example.com"),
    ("mailto:ann%2Bnews@example.com", "ann+news@example.com"),
    ("mailto:%22not%40me%22@example.com", '"not@me"@example.com'),
    ("Ann <mailto:ann@example.com>;", "ann@example.com"),
    ("mailto:ann@example.com%0D%0A", "ann@example.com"),
    ("ann@example.com (at work)", "ann@example.com"),
    ("(an (inner) note) ann(here)@(there)example.com", "ann@example.com"),
    # quoted local parts
    ('"ann"@example.com', "ann@example.com"),
    ('"ann\\.lee"@example.com', "ann.lee@example.com"),
    ('"Ann Lee"@example.com', '"ann lee"@example.com'),
    ('"ann..lee"@example.com', '"ann..lee"@example.com'),
    ('"a@b"@example.com', '"a@b"@example.com'),
    ('"a\\"b\\\\c"@example.com', '"a\\"b\\\\c"@example.com'),
    ('"a(b)<c>"@example.com', '"a(b)<c>"@example.com'),
    # invisible characters and full-width forms
    ("\ufeffann@example.com", "ann@example.com"),
    ("ann\u200b@exam\u00adple.com\u2060", "ann@example.com"),
    ("\u202aann@example.com\u202c\u200f", "ann@example.com"),
    ("\u00a0ann@example.com\u3000", "ann@example.com"),
    ("\u200bann@example.com\u200b\n", "ann@example.com"),
    ("ann\u200d@example.com", "ann@example.com"),
    ("ann＠example．com", "ann@example.com"),
    ("ｍａｉｌｔｏ：ａｎｎ＠ｅｘａｍｐｌｅ。ｃｏｍ", "ann@example.com"),
    ("＜ann﹫example｡com＞", "ann@example.com"),
    # international addresses
    ("ann@Bücher.example", "ann@xn--bcher-kva.example"),
    ("ann@bu\u0308cher.example", "ann@xn--bcher-kva.example"),
    ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
    ("ann@straße.example", "ann@xn--strae-oqa.example"),
    ("ann@пример.рф", "ann@xn--e1afmkfd.xn--p1ai"),
    ("ann@例え。テスト", "ann@xn--r8jz45g.xn--zckzah"),
    ("Ünal@example.com", "ünal@example.com"),
    ("u\u0308nal@example.com", "ünal@example.com"),
    ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
    ("ann@ශ්\u200dරී.com", "ann@xn--10cl1a0b660p.com"),  # here the joiner is spelling
    # limits, and names that only DNS can judge
    (f"{'a' * 64}@example.com", f"{'a' * 64}@example.com"),
    (f"a@{'b' * 63}.com", f"a@{'b' * 63}.com"),
    (f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 56}.com", f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 56}.com"),
    ("ann@r3---x.example.com", "ann@r3---x.example.com"),
    ("ann@3com.com", "ann@3com.com"),
    ("ann@host.test", "ann@host.test"),
    (f"{' ' * 2000}ann@example.com", "ann@example.com"),
]

UNUSABLE = [
    # nothing there, or no address
    ("", "", "syntax_error"),
    (" \r\n\t", "", "syntax_error"),
    ("n/a", "n/a", "syntax_error"),
    ("ann at example.com", "ann at example.com", "syntax_error"),
    ("@", "@", "syntax_error"),
    ("@example.com", "@example.com", "syntax_error"),
    ("ann@", "ann@", "syntax_error"),
    ("ann@@example.com", "ann@@example.com", "syntax_error"),
    ("Ann Lee ann@example.com", "Ann Lee ann@example.com", "syntax_error"),
    ("ann@example.com bob@example.com", "ann@example.com bob@example.com", "syntax_error"),
    ("ann@example.com, bob@example.com", "ann@example.com, bob@example.com", "syntax_error"),
    ("ann@example.com>", "ann@example.com>", "syntax_error"),
    ("ann@example.com (open", "ann@example.com (open", "syntax_error"),
    # the local part
    (".ann@example.com", ".ann@example.com", "syntax_error"),
    ("ann.@example.com", "ann.@example.com", "syntax_error"),
    ("ann..lee@example.com", "ann..lee@example.com", "syntax_error"),
    ("ann(x)lee@example.com", "ann(x)lee@example.com", "syntax_error"),
    ("ann:lee@example.com", "ann:lee@example.com", "syntax_error"),
    ("ann\\lee@example.com", "ann\\x5clee@example.com", "syntax_error"),
    ('""@example.com', '""@example.com', "syntax_error"),
    ('"ann@example.com', '"ann@example.com', "syntax_error"),
    ('"a b\\"@example.com', '"a b\\x5c"@example.com', "syntax_error"),  # two backslashes would make it an address
    (f"{'a' * 65}@example.com", f"{'a' * 65}@example.com", "syntax_error"),
    (f"{'ü' * 33}@example.com", f"{'ü' * 33}@example.com", "syntax_error"),  # 66 octets
    # the domain
    ("ann@example", "ann@example", "syntax_error"),
    ("ann@example..com", "ann@example..com", "syntax_error"),
    ("ann@.example.com", "ann@.example.com", "syntax_error"),
    ("ann@example.com..", "ann@example.com..", "syntax_error"),
    ("ann@-example.com", "ann@-example.com", "syntax_error"),
    ("ann@example-.com", "ann@example-.com", "syntax_error"),
    ("ann@exam_ple.com", "ann@exam_ple.com", "syntax_error"),
    ("ann@gmail,com", "ann@gmail,com", "syntax_error"),
    ("ann@192.0.2.1", "ann@192.0.2.1", "syntax_error"),
    ("ann@example.com1", "ann@example.com1", "syntax_error"),
    ("ann@printer.local", "ann@printer.local", "syntax_error"),
    ("ann@example.invalid", "ann@example.invalid", "syntax_error"),
    ("ann@bücher.local", "ann@bücher.local", "syntax_error"),
    (f"a@{'b' * 64}.com", f"a@{'b' * 64}.com", "syntax_error"),
    (f"a@{'ü' * 60}.com", f"a@{'ü' * 60}.com", "syntax_error"),  # its A-label has more than 63 octets
    (f"aa@{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 56}.com", None, "syntax_error"),  # 255 octets
    ("ann@[192.0.2.1]", "ann@[192.0.2.1]", "unsupported_character"),
    ("ann@[IPv6:2001:db8::1]", "ann@[IPv6:2001:db8::1]", "unsupported_character"),
    ("ann@i❤.example", "ann@i❤.example", "unsupported_character"),
    # characters that can never reach an SMTP command
    ("ann\n@example.com", "ann\\x0a@example.com", "unsupported_character"),
    ("ann@example.com\r\nRCPT TO:<bob@example.com>", None, "unsupported_character"),
    ("mailto:ann@example.com%0D%0ADATA", "mailto:ann@example.com%0D%0ADATA", "unsupported_character"),
    ('"ann\r\n"@example.com', '"ann\\x0d\\x0a"@example.com', "unsupported_character"),
    ("<ann@example.com\n>", "<ann@example.com\\x0a>", "unsupported_character"),
    ("Ann\tLee <ann@example.com>", "Ann\\x09Lee <ann@example.com>", "unsupported_character"),
    ("ann@example.com\x00", "ann@example.com\\x00", "unsupported_character"),
    ("ann\x85lee@example.com", "ann\\x85lee@example.com", "unsupported_character"),
    ("ann\u2028lee@example.com", "ann\\u2028lee@example.com", "unsupported_character"),
    ("ann\ufffdlee@example.com", "ann\ufffdlee@example.com", "unsupported_character"),  # lost in an earlier decoding
    ("ann\ue000lee@example.com", "ann\\ue000lee@example.com", "unsupported_character"),  # private use
    ("क्\u200dष@example.com", "क्\\u200dष@example.com", "unsupported_character"),  # a joiner that is spelling is not cut
    # too long to look at
    ("x" * 1001 + "@example.com", None, "syntax_error"),
    ("x" * 1001 + " <ann@example.com>", None, "syntax_error"),
]


@pytest.mark.parametrize(("raw", "address"), USABLE)
def test_usable(raw: str, address: str) -> None:
    settled = normalize_one(raw)
    local_part, _, domain = address.rpartition("@")
    assert (settled.address, settled.local_part, settled.domain) == (address, local_part, domain)
    assert settled.syntax_reason is None
    assert settled.raw_email == raw


@pytest.mark.parametrize(("raw", "key", "reason"), UNUSABLE)
def test_unusable(raw: str, key: str | None, reason: str) -> None:
    """``key`` None: the row is about the reason only."""
    settled = normalize_one(raw)
    assert settled.syntax_reason == reason
    assert (settled.local_part, settled.domain) == (None, None)
    if key is not None:
        assert settled.address == key


def test_bulk_settles_the_examples_row_for_row() -> None:
    raws = [row[0] for row in USABLE] + [row[0] for row in UNUSABLE]
    frame = normalize(pl.Series(raws * 2))
    assert frame.schema == dict.fromkeys(("raw_email", "address", "local_part", "domain", "syntax_reason"), pl.String)
    assert frame.get_column("raw_email").to_list() == raws * 2
    expected = [normalize_one(raw) for raw in raws * 2]
    assert frame.get_column("address").to_list() == [one.address for one in expected]
    assert frame.get_column("local_part").to_list() == [one.local_part for one in expected]
    assert frame.get_column("domain").to_list() == [one.domain for one in expected]
    assert frame.get_column("syntax_reason").to_list() == [one.syntax_reason for one in expected]


@pytest.mark.parametrize("empty", [pl.Series([], dtype=pl.String), pl.Series([None, None]), pl.Series(["", None])])
def test_bulk_takes_null_as_blank(empty: pl.Series) -> None:
    frame = normalize(empty)
    assert frame.height == len(empty)
    assert frame.get_column("address").to_list() == [""] * len(empty)
    assert frame.get_column("syntax_reason").to_list() == ["syntax_error"] * len(empty)


def test_lone_surrogates_are_unusable() -> None:
    """They come from file names and bad decoders; polars cannot hold them, so only one by one."""
    settled = normalize_one("ann\ud800@example.com")
    assert (settled.address, settled.syntax_reason) == ("ann\\ud800@example.com", "unsupported_character")
