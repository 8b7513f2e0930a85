"""A domain that takes no mail is looked up a second time a day later, by the next verification of whatever is due."""

from pathlib import Path

import psycopg

from ct_pipeline_tests.cli.conftest import CommandLine


def test_the_next_day_confirms_what_the_first_has_found(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "contacts.csv").write_text("email\nann@nullmx.test\nann@web.test\nnobody@shop.test\n")
    assert cli("verify", tmp_path / "contacts.csv", "-o", tmp_path / "out.csv").exit_code == 0
    with psycopg.connect(cli.environment["CT_DATABASE_URL"], autocommit=True) as conn:
        conn.execute(
            "update ledger.domains set looked_up_at = looked_up_at - interval '25 hours', "
            "expires_at = expires_at - interval '25 hours', service_since_at = service_since_at - interval '25 hours'"
        )
        confirmed = "select domain from ledger.domains where looked_up_at - service_since_at >= interval '24 hours'"
        judged = "select judged_at from ledger.verdicts join ledger.addresses using (address_id) where address like %s"
        before = conn.execute(judged, ("%@nullmx.test",)).fetchone()

        result = cli("verify")
        assert result.exit_code == 0, result.output
        assert "looking up domains: 2" in result.stdout
        assert {domain for (domain,) in conn.execute(confirmed)} == {"nullmx.test", "web.test"}
        assert conn.execute(judged, ("%@nullmx.test",)).fetchone() != before  # a plan waits for it
        assert "looking up domains" not in cli("verify").stdout
