"""``ct-pipeline doctor``: each thing that can be wrong is found, named and given a mend, and nothing is changed."""

import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import Result

from ct_pipeline.domains import resolver
from ct_pipeline.sandbox.behaviours import DomainDns
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.sandbox.population import MailDomain, MailHost
from ct_pipeline.stages import doctor
from ct_pipeline_tests.cli.conftest import CommandLine

SUBJECTS = [
    "settings", "database", "disk", "disposable domains", "disposable hosts", "providers", "free domains", "role words",
    "gibberish model", "canonical forms", "CleverTap", "clock", "time zone", "resolver", "HELO name", "MAIL FROM",
    "outbound port", "block lists",
]  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> Iterator[Sandbox]:
    """An internet with everything that can be wrong with a sender's names and hosts."""
    sandbox = Sandbox(
        hosts=[MailHost("mx.dead.test", "dead"), MailHost("mx.closed.test", "blocks_at_connect")],
        domains=[
            MailDomain("dead.test"),
            MailDomain("closed.test"),
            MailDomain("nullmx.test", DomainDns.NULL_MX),
            MailDomain("web.test", DomainDns.NO_MAIL_SERVICE),
            MailDomain("broken.test", DomainDns.SERVFAIL),
        ],
        records={
            "inner.test": ["MX 10 mx.inner.test."],
            "mx.inner.test": ["A 10.0.0.1"],
            "noreverse.test": ["A 127.88.0.1"],
            "otherreverse.test": ["A 127.88.0.2"],
            "2.0.88.127.in-addr.arpa": ["PTR host-2.provider.test."],
            "mailonly.test": ["MX 10 mx.ct-sandbox.test."],
        },
        smtp_port=0,
        dns_address="127.77.0.2",
        dns_port=0,
    )
    with sandbox.run_in_thread():
        yield sandbox


@pytest.fixture(scope="module")
def clevertap() -> Iterator[CleverTapSimulator]:
    with CleverTapSimulator().run_in_thread() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def cli_in_lab(module_cli: CommandLine, lab: Sandbox, clevertap: CleverTapSimulator) -> CommandLine:
    assert module_cli("db", "upgrade").exit_code == 0
    environment = module_cli.environment | lab.environment | clevertap.environment
    return CommandLine(environment, module_cli.log_path)


def findings(result: Result) -> dict[str, tuple[str, str]]:
    """State and words by subject, the mend among the words."""
    found: dict[str, tuple[str, str]] = {}
    subject = ""
    for line in result.stdout.splitlines()[: -1 if result.exit_code < 2 else None]:
        state, rest = line[:8].strip(), line[9:]
        if state:
            subject = next(name for name in SUBJECTS if rest.startswith(name))
            found[subject] = (state, f"{found.get(subject, ('', ''))[1]} {rest[20:].strip()}".strip())
        else:
            found[subject] = (found[subject][0], f"{found[subject][1]} {rest.strip()}")
    return found


def test_all_is_well_in_the_sandbox(cli_in_lab: CommandLine) -> None:
    result = cli_in_lab("doctor")
    assert result.exit_code == 0, result.output
    found = findings(result)
    assert list(found) == SUBJECTS
    # Nobody plays the block lists there, and its addresses are not public: nothing is said of them.
    assert found.pop("block lists")[0] == "untested"
    assert {state for state, _ in found.values()} == {"ok"}
    assert not any("mend:" in words for _, words in found.values())
    assert "127.0.0.1, and the way back agrees" in found["HELO name"][1]
    assert "took our EHLO" in found["outbound port"][1]
    assert found["CleverTap"][1].endswith("takes the credentials")
    assert result.stdout.endswith("No problems.\n")


# settings -> subject, its state, words of the finding and of the mend
PROBLEMS = [
    ({"CT_MAIL_FROM": "x@nullmx.test"}, "MAIL FROM", "problem", "nullmx.test has a null MX mend: Hosts refuse senders"),
    ({"CT_MAIL_FROM": "x@nullmx.test"}, "outbound port", "untested", "has no mail host to try mend: Set CT_MAIL_FROM"),
    ({"CT_MAIL_FROM": "x@web.test"}, "MAIL FROM", "problem", "web.test takes no mail: the domain has neither MX"),
    ({"CT_MAIL_FROM": "x@gone.test"}, "MAIL FROM", "problem", "mend: Give gone.test an MX record, or set CT_MAIL_FROM"),
    ({"CT_MAIL_FROM": "x@inner.test"}, "MAIL FROM", "problem", "name their network in CT_ALLOWED_NETWORKS"),
    ({"CT_MAIL_FROM": ""}, "MAIL FROM", "untested", "the null sender <> mend: Set CT_MAIL_FROM to an address"),
    ({"CT_HELO_NAME": "gone.test"}, "HELO name", "problem", "does not resolve: DNS knows no such name mend: Add an A"),
    ({"CT_HELO_NAME": "mailonly.test"}, "HELO name", "problem", "does not resolve: no address mend: Add an A record"),
    ({"CT_HELO_NAME": "localhost"}, "HELO name", "problem", "is no public name mend: Set CT_HELO_NAME"),
    ({"CT_HELO_NAME": "noreverse.test"}, "HELO name", "problem", "127.88.0.1, whose reverse DNS is nothing mend: Ask"),
    (
        {"CT_HELO_NAME": "otherreverse.test"},
        "HELO name",
        "problem",
        "whose reverse DNS is host-2.provider.test mend: Ask whoever gave you 127.88.0.2 to set its reverse DNS",
    ),
    ({"CT_MAIL_FROM": "x@dead.test"}, "outbound port", "problem", "mx.dead.test: connection refused mend: Mail hosts"),
    ({"CT_SMTP_PORT": "25"}, "outbound port", "problem", "mend: Your network seems to block outgoing port 25"),
    ({"CT_MAIL_FROM": "x@closed.test"}, "outbound port", "problem", "mx.closed.test: 554 "),
    ({"CT_MAIL_FROM": "x@closed.test"}, "outbound port", "problem", "mend: The port is open; the words are about this"),
    ({"CT_MAILFROM": "x@y.test"}, "settings", "problem", "CT_MAILFROM is no setting; CT_MAIL_FROM is mend: Correct"),
    (
        {"CT_APPEND_COLUMNS": "safe_to_sent"},
        "settings",
        "problem",
        "mend: CT_APPEND_COLUMNS holds safe_to_sent; choose",
    ),
    ({"CT_PROPERTY_PREFIX": "E$V"}, "settings", "problem", "mend: CT_PROPERTY_PREFIX is 'E$V': 'E$V Status' holds"),
    ({"CT_DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/x"}, "database", "problem", "does not answer"),
    ({"CT_DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/x"}, "database", "problem", "mend: Start it with"),
    ({"CT_PASSCODE": "EXP-IRED"}, "CleverTap", "problem", "turns us away mend: CleverTap refuses the credentials"),
    ({"CT_PROJECT_ID": "NOT-THE-1ONE"}, "CleverTap", "problem", "Account ID is not valid. Compare CT_PROJECT_ID"),
    (
        {"CT_PASSCODE": "a-secret-word"},
        "CleverTap",
        "problem",
        "Invalid Credentials. Compare CT_PROJECT_ID and CT_PASS",
    ),
    ({"CT_PASSCODE": "a secret word"}, "CleverTap", "problem", "CT_PASSCODE holds characters that no passcode has"),
    ({"CT_PASSCODE": None}, "CleverTap", "problem", "its settings do not fit mend: CT_PASSCODE is not set"),
    ({"CT_BASE_URL": "http://127.0.0.1:1"}, "CleverTap", "problem", "is not reached mend: CleverTap gave no usable"),
    ({"CT_BASE_URL": "http://127.0.0.1:1"}, "clock", "untested", "did not tell the time mend: Mend the connection"),
    ({"CT_BASE_URL": "http://192.0.2.1"}, "CleverTap", "problem", "where the passcode would travel unencrypted"),
    ({"CT_DATABASE_URL": None, "CT_STATE_DIR": "/proc/x"}, "database", "problem", "mend: The state folder /proc/x can"),
]


@pytest.mark.parametrize(("settings", "subject", "state", "words"), PROBLEMS)
def test_each_problem_is_found_and_given_a_mend(
    settings: dict[str, str | None], subject: str, state: str, words: str, cli_in_lab: CommandLine
) -> None:
    result = cli_in_lab("doctor", **settings)
    found = findings(result)
    assert found[subject][0] == state
    assert words in found[subject][1]
    assert "mend: " in found[subject][1]
    is_unconnected = subject == "CleverTap" and "settings do not fit" in found[subject][1]
    expected = [name for name in SUBJECTS if not (is_unconnected and name in ("clock", "time zone"))]
    assert list(found) == expected, "it looks on after a problem"
    problems = sum(state == "problem" for state, _ in found.values())
    assert result.exit_code == (1 if problems else 0)
    if problems:
        assert result.stdout.splitlines()[-1].startswith(f"{problems} problem")
    assert "secret" not in result.output


def test_what_names_decide_is_not_guessed_at_while_the_resolver_is_silent(cli_in_lab: CommandLine) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        nameserver = f"127.0.0.1:{silent.getsockname()[1]}"
        result = cli_in_lab("doctor", CT_NAMESERVERS=nameserver, CT_DNS_TIMEOUT_SECONDS="0.5")
    found = findings(result)
    assert found["resolver"][0] == "problem"
    assert f"{nameserver}: no nameserver answered in time" in found["resolver"][1]
    assert "mend: Set CT_NAMESERVERS" in found["resolver"][1]
    for subject in ("HELO name", "MAIL FROM", "outbound port", "block lists"):
        assert found[subject] == ("untested", "nothing can be looked up mend: Mend the resolver first.")
    assert result.exit_code == 1


def test_a_database_without_our_tables_is_named_and_left_as_it_is(
    cli_in_lab: CommandLine, empty_database_url: str
) -> None:
    result = cli_in_lab("doctor", CT_DATABASE_URL=empty_database_url)
    state, words = findings(result)["database"]
    assert (state, result.exit_code) == ("problem", 1)
    assert "holds no ledger yet mend: Run `ct-pipeline db upgrade`." in words
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("select to_regnamespace('ledger')").fetchone() == (None,)
    cli_in_lab("db", "upgrade", CT_DATABASE_URL=empty_database_url)
    assert findings(cli_in_lab("doctor", CT_DATABASE_URL=empty_database_url))["database"][0] == "ok"


def test_a_database_of_another_version_is_named(cli_in_lab: CommandLine, ledger_url: str) -> None:
    with psycopg.connect(ledger_url) as connection:
        connection.execute("update ledger.alembic_version set version_num = '0000'")
    state, words = findings(cli_in_lab("doctor", CT_DATABASE_URL=ledger_url))["database"]
    assert state == "problem"
    assert "stands at migration 0000 mend: Run `ct-pipeline db upgrade`." in words


def test_a_small_disk_is_a_problem(cli_in_lab: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ENOUGH_DISK_BYTES", 2**62)
    state, words = findings(cli_in_lab("doctor"))["disk"]
    assert state == "problem"
    assert "GiB free for" in words
    assert "mend: Free some space, or set CT_STATE_DIR" in words


def test_a_resolv_conf_without_resolvers_is_no_traceback(
    cli_in_lab: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "resolv.conf").write_text("search example.com\n")
    real = resolver.operating_system_endpoints
    monkeypatch.setattr(resolver, "operating_system_endpoints", lambda: real(str(tmp_path / "resolv.conf")))
    result = cli_in_lab("doctor", CT_NAMESERVERS=None)
    assert result.exit_code == 1
    assert findings(result)["resolver"][0] == "problem"
    assert "names none" in findings(result)["resolver"][1]


def test_without_a_project_clevertap_is_only_named(cli_in_lab: CommandLine, clevertap: CleverTapSimulator) -> None:
    result = cli_in_lab("doctor", **dict.fromkeys(clevertap.environment))
    found = findings(result)
    assert found["CleverTap"][0] == "untested"
    assert "mend: Set CT_PROJECT_ID, CT_PASSCODE and CT_REGION" in found["CleverTap"][1]
    assert "clock" not in found
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"is_passcode_expired": True}, "a passcode can also have expired"),
        ({"is_wrong_region": True}, "CT_REGION with the dashboard's address"),
        ({"is_forbidden": True}, "If the project restricts IP addresses, add this machine's"),
    ],
)
def test_what_clevertap_refuses_is_told_with_its_mend_and_the_clock_all_the_same(
    faults: dict[str, object], words: str, cli_in_lab: CommandLine, clevertap: CleverTapSimulator
) -> None:
    clevertap.set_faults(**faults)
    try:
        found = findings(cli_in_lab("doctor"))
    finally:
        clevertap.set_faults(**dict.fromkeys(faults, False))
    assert found["CleverTap"][0] == "problem"
    assert words in found["CleverTap"][1]
    assert found["clock"][0] == "ok"


def test_a_time_zone_that_nobody_chose_is_told(cli_in_lab: CommandLine) -> None:
    result = cli_in_lab("doctor", CT_TIMEZONE=None)
    state, words = findings(result)["time zone"]
    assert state == "untested"
    assert words.startswith("UTC: it is ")
    assert "mend: Set CT_TIMEZONE to the project's" in words
    assert result.exit_code == 0


@pytest.mark.parametrize(("seconds", "words"), [(7500.0, "h behind CleverTap's"), (-7500.0, "h ahead of CleverTap's")])
def test_a_clock_that_is_off_is_a_problem(
    seconds: float, words: str, cli_in_lab: CommandLine, clevertap: CleverTapSimulator
) -> None:
    clevertap.set_faults(clock_offset_seconds=seconds)
    try:
        found = findings(cli_in_lab("doctor"))
    finally:
        clevertap.set_faults(clock_offset_seconds=0.0)
    assert found["clock"][0] == "problem"
    assert words in found["clock"][1]
    assert "mend: Set it, best by NTP" in found["clock"][1]
    assert found["CleverTap"][0] == "ok"


def test_the_doctor_writes_nothing_and_never_shows_the_passcode(
    cli_in_lab: CommandLine, clevertap: CleverTapSimulator
) -> None:
    result = cli_in_lab("doctor")
    assert {request.path for request in clevertap.requests} <= {"/v1/connect", "/1/counts/profiles.json"}
    assert clevertap.account.access.passcode not in result.output
