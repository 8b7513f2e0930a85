"""``ct-pipeline doctor`` on several egresses: each one's names, senders, way out, and standing on the block lists."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ct_pipeline.sandbox.in_thread import run_in_thread
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.sandbox.population import MailDomain
from ct_pipeline_tests.cli.conftest import CommandLine
from ct_pipeline_tests.verification.socks5_proxy import Socks5Proxy, running

PUBLIC = "11.22.33.44"  # nobody connects to it
REVERSED = "44.33.22.11"
LISTED, REFUSED = "A 127.0.0.2", "A 127.255.255.254"
RECORDS = {
    "listed.test": [f"A {PUBLIC}", "MX 10 mx.ct-sandbox.test."],
    f"{REVERSED}.in-addr.arpa": ["PTR listed.test."],
    "clean.test": ["A 11.22.33.45"],
    "45.33.22.11.in-addr.arpa": ["PTR clean.test."],
    # answer, and list the first address and its domain
    "2.0.0.127.zen.spamhaus.org": [LISTED, "A 127.0.0.4"],
    f"{REVERSED}.zen.spamhaus.org": ["A 127.0.0.3", "A 127.0.0.11"],
    "dbltest.com.dbl.spamhaus.org": ["A 127.0.1.2"],
    "listed.test.dbl.spamhaus.org": ["A 127.0.1.104"],
    # answers, and lists nobody of ours
    "2.0.0.127.bl.spamcop.net": [LISTED],
    # answers for its test entries, and refuses the real question
    "2.0.0.127.multi.uribl.com": ["A 127.0.0.14"],
    "listed.test.multi.uribl.com": ["A 127.0.0.1"],
    # are not to be believed
    "2.0.0.127.psbl.surriel.com": [REFUSED],
    "1.0.0.127.psbl.surriel.com": [REFUSED],
    f"{REVERSED}.psbl.surriel.com": [REFUSED],
    "2.0.0.127.all.s5h.net": [LISTED],
    "1.0.0.127.all.s5h.net": [LISTED],
    f"{REVERSED}.all.s5h.net": [LISTED],
    "2.0.0.127.bl.mailspike.net": ["A 198.51.100.1"],
    f"{REVERSED}.bl.mailspike.net": ["A 198.51.100.1"],
    "2.0.0.127.b.barracudacentral.org": ["SERVFAIL"],
}

Row = tuple[str, str, str]  # state, subject, words


@pytest.fixture(scope="module")
def lab() -> Iterator[Sandbox]:
    sandbox = Sandbox(
        domains=[MailDomain("other.test")], records=RECORDS, smtp_port=0, dns_address="127.77.0.7", dns_port=0
    )
    with sandbox.run_in_thread():
        yield sandbox


@pytest.fixture(scope="module")
def cli_in_lab(module_cli: CommandLine, lab: Sandbox) -> CommandLine:
    return CommandLine(module_cli.environment | lab.environment, module_cli.log_path)


def examined(cli: CommandLine, **settings: str) -> list[Row]:
    """What doctor says from the resolver on, with the mend among the words."""
    result = cli("doctor", **settings)
    assert "s3cret" not in result.output
    rows: list[Row] = []
    for line in result.stdout.splitlines()[:-1]:
        if line[:8].strip():
            rows.append((line[:8].strip(), line[9:28].strip(), line[29:].strip()))
        else:
            rows[-1] = (*rows[-1][:2], f"{rows[-1][2]} {line.strip()}")
    subjects = [subject for _, subject, _ in rows]
    return rows[subjects.index("resolver") + 1 :]


def words_of(rows: list[Row], state: str, subject: str = "block lists") -> list[str]:
    return [words for found, about, words in rows if (found, about) == (state, subject)]


def test_a_listing_names_the_list_its_meaning_and_where_to_end_it(cli_in_lab: CommandLine) -> None:
    rows = examined(cli_in_lab, CT_HELO_NAME="listed.test", CT_MAIL_FROM="me@listed.test")
    assert ("ok", "HELO name", f"listed.test is {PUBLIC}, and the way back agrees") in rows
    assert words_of(rows, "problem") == [
        f"{PUBLIC} is on Spamhaus ZEN: CSS: a source of spam, found automatically (127.0.0.3); PBL: such addresses "
        "usually send no mail themselves (127.0.0.11) mend: Find the cause and stop it, then ask for removal: "
        "https://check.spamhaus.org/",
        "listed.test is on Spamhaus DBL: an honest domain, abused for phishing (127.0.1.104) mend: Find the cause and "
        "stop it, then ask for removal: https://check.spamhaus.org/",
    ]
    assert words_of(rows, "ok") == []


def test_lists_that_cannot_be_believed_from_here_are_untested(cli_in_lab: CommandLine) -> None:
    rows = examined(cli_in_lab, CT_HELO_NAME="listed.test", CT_MAIL_FROM="me@listed.test")
    refused, doubted = words_of(rows, "untested")
    assert refused == "URIBL says nothing of listed.test: it does not answer this resolver"
    assert "PSBL: it refuses the question" in doubted
    assert "s5h: it lists everyone" in doubted
    assert "Mailspike: it answers 198.51.100.1, which no block list does" in doubted
    assert "UCEPROTECT level 1, SURBL: it does not answer from here" in doubted
    assert "Barracuda: " in doubted
    assert "mend: Most lists refuse public resolvers: run a resolver of your own" in doubted


def test_who_is_on_no_list_is_told_so(cli_in_lab: CommandLine) -> None:
    rows = examined(cli_in_lab, CT_HELO_NAME="clean.test")
    assert words_of(rows, "problem") == []
    assert words_of(rows, "ok") == ["11.22.33.45, clean.test, ct-sandbox.test: on none of the 4 that answer"]


def test_an_address_that_is_not_public_is_not_looked_up(cli_in_lab: CommandLine) -> None:
    rows = examined(cli_in_lab)
    assert words_of(rows, "ok") == ["ct-sandbox.test: on none of the 2 that answer"]
    assert words_of(rows, "untested")[0].startswith("127.0.0.1 is not on the public internet mend: Let the HELO name")


def test_each_egress_of_a_file_is_introduced_and_looked_at(cli_in_lab: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "egresses.toml"
    proxy = Socks5Proxy(("me", "s3cret"))
    with run_in_thread(running(proxy), "ct-proxy"):
        path.write_text(
            f"""
            [[egress]]
            name = "paris"
            other_mail_from = "x@gone.test"
            proxy = "{proxy.url}"
            lanes = ["google", "small-*"]
            [[egress]]
            name = "delhi"
            helo_name = "gone.test"
            mail_from = "<>"
            source_address = "192.0.2.7"
            lanes = ["yahoo"]
            [[egress]]
            name = "lima"
            """
        )
        rows = examined(cli_in_lab, CT_EGRESS_FILE=str(path), CT_OWN_EGRESSES="paris,delhi")
    starts = [number for number, (_, subject, _) in enumerate(rows) if subject == "egress"]
    paris, delhi, lima = rows[: starts[1]], rows[starts[1] : starts[2]], rows[starts[2] :]
    way = f"through the proxy 127.0.0.1:{proxy.port}"
    assert paris[0] == ("ok", "egress", f"paris: {way}, for google, small-00, small-01, small-02 and 61 more")
    assert [row[0] for row in paris[1:3]] == ["ok", "ok"]
    assert words_of(paris, "problem", "other MAIL FROM") == [
        "gone.test takes no mail: DNS knows no such name mend: Give gone.test an MX record, or set other_mail_from in "
        "egresses.toml, row 1 (paris) to an address of a domain that has one."
    ]
    assert [row[2] for row in paris if row[1].startswith("outbound")] == [
        "mx.ct-sandbox.test answered and took our EHLO"
    ]
    assert len(proxy.asked) == 1
    assert delhi[0] == ("ok", "egress", "delhi: from 192.0.2.7, for yahoo")
    assert words_of(delhi, "problem", "HELO name")[0].startswith("gone.test does not resolve: DNS knows no such name")
    assert "mend: Set mail_from in egresses.toml, row 2 (delhi)" in words_of(delhi, "untested", "MAIL FROM")[0]
    assert lima[0][0] == "untested"
    assert lima[0][2].startswith("lima: from the address that the system chooses, for microsoft365, ")
    assert lima[0][2].endswith("; another machine works it mend: Run `ct-pipeline doctor` there.")
    assert len(lima) == 1


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        (Socks5Proxy(("me", "other")), "our proxy will not connect us: Username and password authentication failure"),
        (Socks5Proxy(("me", "s3cret"), reply=2), "our proxy will not connect us: Connection not allowed by ruleset"),
    ],
    ids=["wrong password", "not allowed"],
)
def test_a_proxy_that_does_not_let_us_out_is_told_from_a_blocked_port(
    cli_in_lab: CommandLine, proxy: Socks5Proxy, words: str
) -> None:
    with run_in_thread(running(proxy), "ct-proxy"):
        rows = examined(cli_in_lab, CT_PROXY=f"socks5://me:s3cret@127.0.0.1:{proxy.port}")
    state, _, said = next(row for row in rows if row[1].startswith("outbound"))
    assert state == "problem"
    assert words in said
    assert "mend: The fault lies with the proxy, or with CT_PROXY: compare address, user and password." in said


def test_a_source_address_that_is_not_ours_is_told(cli_in_lab: CommandLine) -> None:
    rows = examined(cli_in_lab, CT_SOURCE_ADDRESS="192.0.2.7")
    state, _, said = next(row for row in rows if row[1].startswith("outbound"))
    assert state == "problem"
    assert "our source address 192.0.2.7 cannot be used" in said
    assert "mend: Give this machine the address, or correct CT_SOURCE_ADDRESS." in said


def test_a_file_that_does_not_fit_is_told_with_its_mend(cli_in_lab: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "egresses.toml"
    path.write_text('[[egress]]\nname = "paris"\nlanes = ["googel"]\n')
    result = cli_in_lab("doctor", CT_EGRESS_FILE=str(path))
    assert result.exit_code == 1
    assert "their settings do not fit" in result.stdout
    assert "mend: egresses.toml, row 1 (paris): no lane is called 'googel'." in result.stdout


def test_a_name_that_is_used_unchecked_is_a_problem_all_the_same(cli_in_lab: CommandLine) -> None:
    rows = examined(cli_in_lab, CT_HELO_NAME="gone.test", CT_HELO_UNCHECKED="true")
    assert "CT_HELO_UNCHECKED is set, so it is used all the same" in words_of(rows, "problem", "HELO name")[0]


def test_while_a_nameserver_fails_the_name_is_not_called_wrong(cli_in_lab: CommandLine) -> None:
    rows = examined(cli_in_lab, CT_HELO_NAME="2.0.0.127.b.barracudacentral.org")
    said = words_of(rows, "problem", "HELO name")[0]
    assert "could not be looked up" in said
    assert "mend: Look again. While it stays like this, `ct-pipeline verify` asks nobody." in said
