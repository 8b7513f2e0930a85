"""The population as a contact file: whole, messy, and the same each time."""

import csv
import gzip
import io

from ct_pipeline.addresses.normalize import normalize_one
from ct_pipeline.sandbox.contact_file import SYNTAX_FAULTS, write_contact_file
from ct_pipeline.sandbox.population import population


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_spelling_normalizes_to_an_address_of_the_population(tmp_path):
    summary = write_contact_file(tmp_path / "contacts.csv")
    rows = rows_of((tmp_path / "contacts.csv").read_text("utf-8"))
    normalized = [normalize_one(row["email"]) for row in rows]
    usable = [one.address for one in normalized if one.syntax_reason is None]
    truth = {mailbox.address for mailbox in population()}
    assert set(usable) == truth
    assert len(rows) == summary.row_count
    assert len(truth) == summary.address_count
    assert len(usable) > len(truth), "some addresses stand in several rows"
    assert len(rows) - len(usable) == summary.syntax_fault_count == len(SYNTAX_FAULTS)
    assert sum(row["email"] not in truth for row in rows) > 100, "many are spelled in another way"


def test_the_same_seed_gives_the_same_file_gzipped_or_not(tmp_path):
    write_contact_file(tmp_path / "plain.csv")
    write_contact_file(tmp_path / "packed.csv.gz")
    assert gzip.decompress((tmp_path / "packed.csv.gz").read_bytes()) == (tmp_path / "plain.csv").read_bytes()
