"""What users get wrong ends with a sentence that names the fault and the mend, an exit status, and no traceback."""

from pathlib import Path

import pytest
import typer

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.verify import duration
from ct_pipeline_tests.cli.conftest import CommandLine


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "good.csv").write_text("email\nann@shop.test\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "phones.csv").write_text("name,phone\nAnn,12\nBob,34\n")
    (tmp_path / "a_file").write_text("")
    return tmp_path


# arguments of verify in the folder of `files`, exit status, words of the complaint
FAULTS = [
    (["missing.csv", "-o", "out.csv"], 1, "missing.csv cannot be read: No such file or directory"),
    ([".", "-o", "out.csv"], 1, "Is a directory"),
    (["empty.csv", "-o", "out.csv"], 1, "is empty. Give a file with a header line"),
    (["phones.csv", "-o", "out.csv"], 1, "Its columns: 'name', 'phone'. Rename the column"),
    (["good.csv", "-o", "out.xlsx"], 1, "written as .csv, .csv.gz or .parquet"),
    (["good.csv", "-o", "."], 1, "is a folder. Name a file in it"),
    (["good.csv", "-o", "good.csv"], 1, "is the contact file itself. Give OUT another name."),
    (["good.csv", "-o", "a_file/out.csv"], 1, "out.csv cannot be written"),
    (["good.csv", "-o", "out.csv", "--wait", "5x"], 2, "'5x' is no duration; write 90s, 30m, 2h or 1d"),
    (["good.csv", "-o", "out.csv", "--wait", "9999d"], 2, "'9999d' is more than a year"),
    (["good.csv"], 2, "say where the verified file goes, as in -o verified.csv"),
    (["-o", "out.csv"], 2, "--out and --audience belong to a contact file"),
]


@pytest.mark.parametrize(("arguments", "exit_status", "words"), FAULTS)
def test_faults_of_a_verification(
    arguments: list[str],
    exit_status: int,
    words: str,
    module_cli: CommandLine,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(files)
    result = module_cli("verify", *arguments)
    assert words in result.stderr
    assert (result.exit_code, type(result.exception)) == (exit_status, SystemExit), "our own exit, no exception"
    assert (files / "good.csv").read_text() == "email\nann@shop.test\n"
    assert not (files / "out.csv").exists()


WRONG_SETTINGS = [
    ({"CT_SMTP_PORT": "banana"}, "CT_SMTP_PORT is 'banana'; must be a whole number, 1 to 65,535. Meaning: TCP port"),
    ({"CT_DNS_CONCURRENCY": "0"}, "CT_DNS_CONCURRENCY is '0'; must be a whole number, 1 to 1,000."),
    ({"CT_REPLY_TIMEOUT_SECONDS": "0"}, "must be more than 0, up to 600 seconds."),
    ({"CT_PROBE_FORBIDDEN": "maybe"}, "must be true or false."),
    ({"CT_EXPORT_MODE": "yes"}, "CT_EXPORT_MODE is 'yes'; must be 'preview' or 'apply'."),
    ({"CT_NAMESERVERS": "127.0.0.1, dns.example.com"}, "'dns.example.com' is not ip or ip:port"),
    ({"CT_ALLOWED_NETWORKS": "10.0.0.0/99"}, "'10.0.0.0/99' does not appear to be an IPv4 or IPv6 network"),
    ({"CT_MAIL_FROM": "nobody"}, "CT_MAIL_FROM is 'nobody'; must be an email address"),
    ({"CT_HELO_NAME": "two words"}, "CT_HELO_NAME is 'two words'; must be printable ASCII"),
    ({"CT_DATABASE_URL": "mysql://me:secret@x/y"}, "CT_DATABASE_URL: must look like postgresql://"),
    ({"CT_DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/y"}, "The database at 127.0.0.1:1/y does not answer"),
]


@pytest.mark.parametrize(("settings", "words"), WRONG_SETTINGS)
def test_a_wrong_setting_is_named_with_its_mend_and_no_secret(
    settings: dict[str, str], words: str, module_cli: CommandLine
) -> None:
    result = module_cli("check", "ann@shop.test", **settings)
    assert words in result.stderr
    assert result.exit_code == 1
    assert "secret" not in result.output
    assert result.stdout == ""


def test_all_wrong_settings_are_named_at_once(module_cli: CommandLine) -> None:
    result = module_cli("check", "ann@shop.test", CT_SMTP_PORT="0", CT_FRESH_FOR_DAYS="never")
    assert [line.split()[0] for line in result.stderr.splitlines()] == ["CT_SMTP_PORT", "CT_FRESH_FOR_DAYS"]


def test_a_state_folder_that_is_a_file(module_cli: CommandLine, files: Path) -> None:
    result = module_cli("check", "ann@shop.test", CT_STATE_DIR=str(files / "a_file"), CT_DATABASE_URL=None)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "a_file is a file. Set CT_STATE_DIR to a folder." in result.stderr


def test_a_state_folder_that_cannot_be_made(module_cli: CommandLine) -> None:
    result = module_cli("check", "ann@shop.test", CT_STATE_DIR="/proc/ct_pipeline", CT_DATABASE_URL=None)
    assert result.exit_code == 1
    assert "The state folder /proc/ct_pipeline cannot be made" in result.stderr
    assert "Set CT_STATE_DIR" in result.stderr


def test_a_full_disk_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, told_plainly(), Path("/dev/full").open("w") as file:
        file.write("more than fits")
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "No space left on device\n"


def test_a_fault_of_ours_stays_a_traceback() -> None:
    with pytest.raises(FileNotFoundError), told_plainly():
        Path("/nonexistent").read_text()


def test_exit_statuses_and_streams_of_a_real_process(module_cli: CommandLine) -> None:
    wrong = module_cli.process("check", "ann@shop.test", CT_SMTP_PORT="banana")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("CT_SMTP_PORT is 'banana'")
    unknown = module_cli.process("chekc")
    assert unknown.returncode == 2
    assert "No such command 'chekc'" in unknown.stderr
    right = module_cli.process("check", "ann@shop.test")
    assert (right.returncode, right.stderr) == (0, "")
    assert right.stdout.startswith("ann@shop.test  valid")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("1h30m", 5400), ("0s", 0)]
)
def test_durations(text: str, seconds: int) -> None:
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "5", "5x", "m5", "-5m", "5 m", "1.5h", "5m!", "٣m", "999999999999d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        duration(text)
