"""``ct-pipeline verify``: a contact file in, the same rows with verdicts out, and what is said meanwhile."""

import csv
import gzip
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl
import psycopg
import pytest

from ct_pipeline.domains.lanes import lane_of
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.storage.lanes import LaneLock
from ct_pipeline_tests.cli.conftest import CommandLine

TRUTH = {
    "ann@shop.test": "valid",
    "nobody@shop.test": "invalid",
    "anyone@all.test": "catch_all",
    "ann@block.test": "unknown",
    "ct-sandbox-0001@gmial.com": "invalid",
    "ct-sandbox-0001@outlook.com": "unknown",
}


@pytest.fixture
def contacts(tmp_path: Path) -> Path:
    return write_contacts(tmp_path / "contacts.csv", TRUTH)


def write_contacts(path: Path, addresses: Iterable[str]) -> Path:
    path.write_text("name,Email\n" + "".join(f"somebody,{address}\n" for address in addresses))
    return path


def statuses(out: Path) -> dict[str, str]:
    with out.open(newline="") as file:
        return {row["Email"]: row["status"] for row in csv.DictReader(file)}


def test_every_row_comes_back_with_its_verdict_and_a_summary_in_words(
    cli: CommandLine, contacts: Path, tmp_path: Path
) -> None:
    result = cli("verify", contacts, "-o", tmp_path / "new" / "out.csv")
    assert result.exit_code == 0, result.output
    assert statuses(tmp_path / "new" / "out.csv") == TRUTH
    said = result.stdout
    assert "contacts.csv: 6 rows, addresses in column 'Email'\n" in said
    assert "looking up domains: 5" in said
    assert "Left alone for now, because they turned us away: block.test (prober_blocked)" in said
    table = [line.split(None, 3) for line in said.splitlines() if "%" in line]
    assert [row[:3] for row in table] == [
        ["valid", "1", "16.7%"],
        ["invalid", "2", "33.3%"],
        ["catch_all", "1", "16.7%"],
        ["unknown", "2", "33.3%"],
    ]
    assert "mail would bounce: do not send" in said
    assert "invalid because  of 2 addresses: domain_not_found 1, mailbox_not_found 1" in said
    assert "unknown because  of 2 addresses: prober_blocked 1, provider_forbids_probing 1" in said
    assert "due again        1 address, the first in 4 h" in said
    assert "with --wait 5h it waits for them" in said
    assert f"written          {tmp_path / 'new' / 'out.csv'}  6 rows" in said


def test_waiting_settles_those_who_want_to_be_asked_again(cli: CommandLine, tmp_path: Path) -> None:
    contacts = write_contacts(tmp_path / "contacts.csv", ["cid@grey.test", "dan@grey.test"])
    first = cli("verify", contacts, "-o", tmp_path / "out.csv")
    assert statuses(tmp_path / "out.csv") == {"cid@grey.test": "unknown", "dan@grey.test": "unknown"}
    assert "2 within the hour" in first.stdout
    second = cli("verify", contacts, "-o", tmp_path / "out.csv", "--wait", "2m")
    assert statuses(tmp_path / "out.csv") == {"cid@grey.test": "valid", "dan@grey.test": "invalid"}
    assert "due again" not in second.stdout


def test_a_file_verified_before_is_written_again_without_asking_anyone(
    cli: CommandLine, contacts: Path, tmp_path: Path
) -> None:
    cli("verify", contacts, "-o", tmp_path / "first.csv")
    asked = len(cli.asked())
    again = cli("verify", contacts, "-o", tmp_path / "second.csv")
    assert again.exit_code == 0
    assert "6 rows, addresses in column 'Email' (taken in before)" in again.stdout
    assert (tmp_path / "second.csv").read_text() == (tmp_path / "first.csv").read_text()
    assert len(cli.asked()) == asked


def test_answers_that_are_no_longer_fresh_are_asked_again(cli: CommandLine, contacts: Path, tmp_path: Path) -> None:
    cli("verify", contacts, "-o", tmp_path / "out.csv")
    asked = len(cli.asked("shop.test"))
    with psycopg.connect(cli.environment["CT_DATABASE_URL"]) as connection:
        connection.execute("update ledger.due set answered_at = answered_at - interval '20 days'")
        connection.execute("update ledger.probes set asked_at = asked_at - interval '20 days'")
    cli("verify", contacts, "-o", tmp_path / "out.csv")
    assert len(cli.asked("shop.test")) == asked
    cli("verify", contacts, "-o", tmp_path / "out.csv", CT_FRESH_FOR_DAYS="10")
    assert len(cli.asked("shop.test")) == asked + 1
    assert statuses(tmp_path / "out.csv") == TRUTH


def test_another_file_with_the_same_people_asks_only_about_the_new_ones(cli: CommandLine, tmp_path: Path) -> None:
    cli("verify", write_contacts(tmp_path / "a.csv", ["ann@shop.test", "x@all.test"]), "-o", tmp_path / "out.csv")
    asked = len(cli.asked("shop.test"))
    more = {"ann@shop.test": "valid", "x@all.test": "catch_all", "y@all.test": "catch_all", "info@shop.test": "valid"}
    result = cli("verify", write_contacts(tmp_path / "b.csv", more), "-o", tmp_path / "out.csv")
    assert result.exit_code == 0
    assert statuses(tmp_path / "out.csv") == more
    assert cli.asked("shop.test")[asked:] == ["info@shop.test"]


def _gz(contacts: Path) -> Path:
    packed = contacts.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(contacts.read_bytes()))
    return packed


def _parquet(contacts: Path) -> Path:
    table = contacts.with_suffix(".parquet")
    pl.read_csv(contacts).write_parquet(table)
    return table


@pytest.mark.parametrize("pack", [_gz, _parquet])
@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet"])
def test_gzipped_csv_and_parquet_in_and_out(
    pack: Callable[[Path], Path], suffix: str, cli: CommandLine, contacts: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"out{suffix}"
    result = cli("verify", pack(contacts), "-o", out)
    assert result.exit_code == 0, result.output
    rows = pl.read_parquet(out) if suffix == ".parquet" else pl.read_csv(gzip.decompress(out.read_bytes()))
    assert dict(rows.select("Email", "status").iter_rows()) == TRUTH
    assert rows["name"].to_list() == ["somebody"] * len(TRUTH)


def test_large_numbers_have_separators(cli: CommandLine, tmp_path: Path) -> None:
    contacts = write_contacts(tmp_path / "contacts.csv", ["no address"] * 1234)
    said = cli("verify", contacts, "-o", tmp_path / "out.csv").stdout
    assert "contacts.csv: 1,234 rows" in said
    assert "invalid    1,234  100.0%" in said


def test_rows_that_cannot_be_read_are_set_aside_by_line(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "contacts.csv").write_text("name,email\nAnn,ann@shop.test\nBob,bob@shop.test,surplus\n")
    result = cli("verify", tmp_path / "contacts.csv", "-o", tmp_path / "out.csv")
    assert result.exit_code == 0
    assert "1 row cannot be read and is set aside:" in result.stdout
    assert "  line 3: " in result.stdout
    assert f"set aside        {tmp_path / 'out.csv.set_aside.csv'}" in result.stdout
    assert "surplus" in (tmp_path / "out.csv.set_aside.csv").read_text()


def test_addresses_that_another_run_works_on_are_left_to_it(cli: CommandLine, contacts: Path, tmp_path: Path) -> None:
    cli("db", "upgrade")
    lane = lane_of("shop.test", load_providers())
    lock = LaneLock(cli.environment["CT_DATABASE_URL"], lane)
    assert lock.acquire()
    try:
        result = cli("verify", contacts, "-o", tmp_path / "out.csv")
    finally:
        lock.release()
    assert result.exit_code == 0
    assert f"Left for now, another run works on this lane: {lane}" in result.stdout
    assert "some of them now" in result.stdout
    assert statuses(tmp_path / "out.csv") == TRUTH | {"ann@shop.test": "unknown", "nobody@shop.test": "unknown"}
    cli("verify", contacts, "-o", tmp_path / "out.csv")
    assert statuses(tmp_path / "out.csv") == TRUTH


def test_a_terminal_gets_a_bar_with_done_rate_time_left_and_counts(
    cli: CommandLine, contacts: Path, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ct_pipeline", "verify", str(contacts), "-o", str(tmp_path / "out.csv")]
    environment = os.environ | cli.environment | {"COLUMNS": "120", "TERM": "xterm"}
    process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(60) == 0, shown.decode()
    text = shown.decode()
    assert "looking up domains" in text
    assert " of 5" in text
    assert "verifying" in text
    assert "/s" in text
    assert "left" in text
    assert "valid 1 · invalid 2 · catch_all 1 · unknown 2" in text


def test_without_a_file_everything_that_is_due_is_verified(cli: CommandLine, contacts: Path, tmp_path: Path) -> None:
    cli("db", "upgrade")
    lock = LaneLock(cli.environment["CT_DATABASE_URL"], lane_of("shop.test", load_providers()))
    assert lock.acquire()
    cli("verify", contacts, "-o", tmp_path / "out.csv")
    lock.release()
    result = cli("verify")
    assert result.exit_code == 0, result.output
    assert "verifying: 2\n" in result.stdout
    table = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines() if "%" in line}
    assert table == {"valid": "1", "invalid": "2", "catch_all": "1", "unknown": "2"}
    assert "written" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["-o", "out.csv"], "belong to a contact file"), (["contacts.csv"], "say where the verified file goes")],
)
def test_file_and_out_belong_together(cli: CommandLine, arguments: list[str], complaint: str) -> None:
    result = cli("verify", *arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_lanes_of_another_machines_egress_are_left_to_it(cli: CommandLine, contacts: Path, tmp_path: Path) -> None:
    lane = lane_of("shop.test", load_providers())
    (tmp_path / "egresses.toml").write_text(
        f'[[egress]]\nname = "paris"\nlanes = ["{lane}"]\n[[egress]]\nname = "delhi"\n'
    )
    file, out = str(tmp_path / "egresses.toml"), tmp_path / "out.csv"
    result = cli("verify", contacts, "-o", out, CT_EGRESS_FILE=file, CT_OWN_EGRESSES="delhi")
    assert result.exit_code == 0, result.output
    assert f"Left for now, belongs to egress paris: {lane}" in result.stdout
    assert statuses(out) == TRUTH | {"ann@shop.test": "unknown", "nobody@shop.test": "unknown"}
    cli("verify", contacts, "-o", out, CT_EGRESS_FILE=file, CT_OWN_EGRESSES="paris")
    assert statuses(out) == TRUTH


def test_nobody_is_asked_under_a_name_that_does_not_resolve(cli: CommandLine, contacts: Path, tmp_path: Path) -> None:
    before = len(cli.asked())
    result = cli("verify", contacts, "-o", tmp_path / "out.csv", CT_HELO_NAME="gone.test")
    assert result.exit_code == 1
    assert "CT_HELO_NAME: gone.test does not resolve: DNS knows no such name. Add an A record" in result.stderr
    assert len(cli.asked()) == before
    assert not (tmp_path / "out.csv").exists()
