"""The files of allow and block lists: what is read, and what a bad file is told."""

from pathlib import Path

import pytest

from ct_pipeline.addresses.operator_lists import NO_LISTS
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.operator_list_files import LARGEST_FILE_BYTES, load_operator_lists


def with_block_list(folder: Path, content: bytes) -> Settings:
    path = folder / "block.txt"
    path.write_bytes(content)
    return load_settings(block_list=path)


def test_both_files_are_read_whatever_their_line_ends(tmp_path: Path) -> None:
    allow = tmp_path / "allow.txt"
    allow.write_bytes("\ufeffann@example.com\r\n# note\r\nbücher.example\r".encode())
    settings = with_block_list(tmp_path, b".ru\n\n*.example.org").model_copy(update={"allow_list": allow})
    lists = load_operator_lists(settings)
    assert lists.allow == {"ann@example.com", "xn--bcher-kva.example"}
    assert lists.block == {".ru", "*.example.org"}


def test_no_file_is_no_entry() -> None:
    assert load_operator_lists(load_settings()) == NO_LISTS


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"example.org\nann@@x\n", "block.txt, line 2: no entry. Write an address"),
        (b"example.org\n\xff\xfe\n", "block.txt, line 2: no UTF-8"),
        (b"# \n" * (LARGEST_FILE_BYTES // 3 + 1), "block.txt is larger than 20,000,000 bytes"),
    ],
    ids=["bad line", "other encoding", "too large"],
)
def test_a_bad_file_is_told_with_its_setting_and_the_mend(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_operator_lists(with_block_list(tmp_path, content))
    assert str(caught.value).startswith("CT_BLOCK_LIST: ")
    assert told in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"CT_ALLOW_LIST: .*allow\.txt cannot be read: No such file"):
        load_operator_lists(load_settings(allow_list=tmp_path / "allow.txt"))
