"""Egresses from the settings or from a file: what they are, which lanes they have, and every fault with its mend."""

from pathlib import Path

import pytest

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.egresses import Egresses, load_egresses
from ct_pipeline.verification.egress import Envelope

LANES = lane_keys(load_providers())
TWO = """
[[egress]]
name = "paris"
helo_name = "verify-1.example.com"
mail_from = "<>"
other_mail_from = "postmaster@example.com"
source_address = "203.0.113.7"
lanes = ["google", "small-0*"]

[[egress]]
name = "delhi"
proxy = "socks5://someone:s3cret@192.0.2.1:1080"
"""
NAMES = {"helo_name": "verify.example.com", "mail_from": "probe@example.com"}


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CT_{name.upper()}", raising=False)


def loaded(folder: Path, text: str, **settings: object) -> Egresses:
    path = folder / "egresses.toml"
    path.write_text(text)
    return load_egresses(load_settings(egress_file=path, **NAMES, **settings))


def refused(folder: Path, text: str, **settings: object) -> str:
    with pytest.raises(SettingsError) as error:
        loaded(folder, text, **settings)
    assert "s3cret" not in str(error.value)
    return str(error.value)


def test_without_a_file_the_settings_make_one_egress_that_takes_every_lane() -> None:
    egresses = load_egresses(load_settings(**NAMES, other_mail_from="<>", source_address="203.0.113.7"))
    egress = egresses.of_lane("google")
    assert (egress.name, egress.envelope) == ("default", Envelope("verify.example.com", "probe@example.com"))
    assert (egress.other_mail_from, egress.source_address) == ("", "203.0.113.7")
    assert {egresses.of_lane(lane).name for lane in LANES} == {"default"}
    assert egresses.is_own(egress)
    assert [row.setting("helo_name") for row in egresses.rows] == ["CT_HELO_NAME"]


def test_a_file_binds_each_lane_to_one_egress(tmp_path: Path) -> None:
    egresses = loaded(tmp_path, TWO)
    paris, delhi = egresses.of_lane("google"), egresses.of_lane("small-63")
    assert paris.envelope == Envelope("verify-1.example.com", "")
    assert (paris.other_mail_from, paris.source_address, paris.proxy) == ("postmaster@example.com", "203.0.113.7", None)
    assert delhi.envelope == Envelope("verify.example.com", "probe@example.com"), "what a row leaves out"
    assert delhi.proxy is not None
    assert delhi.proxy.get_secret_value() == "socks5://someone:s3cret@192.0.2.1:1080"
    assert delhi.way == "through the proxy 192.0.2.1:1080"
    first, second = egresses.rows
    assert egresses.lanes_of(first) == ["google", *(f"small-0{n}" for n in range(10))]
    assert sorted(egresses.lanes_of(first) + egresses.lanes_of(second)) == sorted(LANES)
    assert [row.egress.name for row in egresses.rows_for(["small-63", "small-62"])] == ["delhi"]
    assert first.setting("helo_name") == "helo_name in egresses.toml, row 1 (paris)"
    assert "s3cret" not in repr(egresses.rows)
    assert not egresses.works("a-lane-of-former-days")


@pytest.mark.parametrize(
    ("own", "lanes"), [("", ["google", "small-63"]), ("delhi", ["small-63"]), ("paris", ["google"])]
)
def test_a_machine_works_the_egresses_that_it_owns(tmp_path: Path, own: str, lanes: list[str]) -> None:
    egresses = loaded(tmp_path, TWO, own_egresses=own)
    assert [lane for lane in ("google", "small-63") if egresses.works(lane)] == lanes


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"google"', '"googel"', "egresses.toml, row 1 (paris): no lane is called 'googel'. Lanes are google, "),
        ('"google"', '"small-64"', "and small-00 to small-63; small-* means all of these."),
        ('name = "delhi"', 'name = "delhi"\nlanes = ["goo*"]', "egresses.toml, row 2 (delhi): egresses.toml, row 1"),
        ('name = "delhi"', 'name = "delhi"\nlanes = ["goo*"]', "has the lanes google already. A lane has one egress"),
        ('name = "delhi"', 'name = "delhi"\nlanes = ["small-1*"]', "egresses.toml: no row takes the lanes "),
        (
            'lanes = ["google", "small-0*"]',
            "",
            "row 2 (delhi) has no lanes, and egresses.toml, row 1 (paris) takes the",
        ),
        (
            'lanes = ["google", "small-0*"]',
            'lanes = ["*"]',
            "row 2 (delhi) has no lanes, and the other rows take every",
        ),
        ('lanes = ["google", "small-0*"]', "lanes = []", "row 1 (paris): lanes must be a list such as"),
        ('lanes = ["google", "small-0*"]', 'lanes = "google"', "leave it out to take the rest."),
        ('"203.0.113.7"', '"203.0.113"', "row 1 (paris): source_address is '203.0.113'; must be an IP address of this"),
        ('"203.0.113.7"', '"0.0.0.0"', "must be one address of this machine; leave it out"),
        ('"203.0.113.7"', "7", "source_address is 7; must be text in quotes."),
        ("socks5:", "http:", "row 2 (delhi): proxy must be socks5://host:port or socks5://user:password@host:port."),
        (":1080", "", "row 2 (delhi): proxy must be socks5://host:port"),
        ("lanes =", 'proxy = "socks5://h:1"\nlanes =', "row 1 (paris): source_address and proxy exclude each other"),
        ('"verify-1.example.com"', '"two words"', "row 1 (paris): helo_name is 'two words'; must be printable ASCII"),
        ('"<>"', '"nobody"', "row 1 (paris): mail_from is 'nobody'; must be an email address, such as"),
        (
            '"postmaster@example.com"',
            '"<>"',
            "other_mail_from in egresses.toml, row 1 (paris) is the same as mail_from",
        ),
        ('name = "delhi"', 'name = "paris"', "egresses.toml, row 2 (paris): another row is called paris too."),
        ('name = "delhi"', "", "egresses.toml, row 2: name must be given"),
        ('name = "delhi"', 'name = "new delhi"', "up to 64 letters, digits, dots, dashes and underscores."),
        ("helo_name", "helo", "row 1 (paris): 'helo' is no field. Fields are name, helo_name, mail_from"),
        ("[[egress]]", "[[egres]]", "egresses.toml: 'egres': only [[egress]] rows belong here."),
        ("[[egress]]", "[egress", "is no TOML: "),
    ],
)
def test_each_fault_names_file_row_and_mend(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in TWO
    assert words in refused(tmp_path, TWO.replace(old, new))


def test_all_faulty_rows_are_told_at_once(tmp_path: Path) -> None:
    said = refused(tmp_path, TWO.replace("socks5:", "socks4:").replace('"<>"', '"x"'))
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "egresses.toml, row 1 (paris)",
        "egresses.toml, row 2 (delhi)",
    ]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"own_egresses": "paris,london"}, "CT_OWN_EGRESSES names london; the egresses are paris, delhi."),
        ({"proxy": "socks5://192.0.2.1:1080"}, "CT_PROXY is set beside CT_EGRESS_FILE. Write proxy into the rows"),
        ({"source_address": "192.0.2.1"}, "CT_SOURCE_ADDRESS is set beside CT_EGRESS_FILE."),
        ({"other_mail_from": "<>"}, "CT_OTHER_MAIL_FROM is set beside CT_EGRESS_FILE."),
    ],
)
def test_settings_that_do_not_go_with_the_file(tmp_path: Path, settings: dict[str, str], words: str) -> None:
    assert words in refused(tmp_path, TWO, **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"other_mail_from": "probe@example.com"}, "CT_OTHER_MAIL_FROM is the same as mail_from. Give another address"),
        ({"source_address": "::1", "proxy": "socks5://h:1"}, "CT_SOURCE_ADDRESS and CT_PROXY exclude each other"),
        ({"own_egresses": "paris"}, "CT_OWN_EGRESSES names paris; the egresses are default."),
        (
            {"egress_file": "/nowhere/egresses.toml"},
            "CT_EGRESS_FILE: /nowhere/egresses.toml cannot be read: No such file",
        ),
    ],
)
def test_settings_that_do_not_go_with_each_other(settings: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_egresses(load_settings(**{**NAMES, **settings}))


def test_a_file_of_another_kind_is_not_read_to_its_end(tmp_path: Path) -> None:
    assert "is larger than 1,000,000 bytes" in refused(tmp_path, "#" * 1_000_001)
    assert "no [[egress]] row" in refused(tmp_path, "")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("source_address", "all", "CT_SOURCE_ADDRESS is 'all'; must be an IP address of this machine"),
        ("proxy", "socks5://me:s3cret@h", "CT_PROXY: must be socks5://host:port"),
        ("proxy", "socks5://me:@h:1", "user and password have 1 to 255 ASCII characters each"),
        ("other_mail_from", "nobody", "or <> for the null sender"),
    ],
)
def test_a_value_that_does_not_fit_is_told_without_a_secret(name: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(**{name: value})
    assert words in str(error.value)
    assert "s3cret" not in str(error.value)


def test_the_example_of_the_guide_can_be_used_as_it_stands(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/egresses.md").read_text(encoding="utf-8")
    egresses = loaded(tmp_path, guide.partition("```toml\n")[2].partition("```")[0])
    assert [row.egress.name for row in egresses.rows] == ["paris", "delhi", "rest"]
    assert [egresses.of_lane(lane).name for lane in ("google", "small-19", "small-20")] == ["paris", "delhi", "rest"]
