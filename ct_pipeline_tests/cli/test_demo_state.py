"""What the demo may remove, and what it must not."""

import os
from pathlib import Path

import pytest

from ct_pipeline.cli.demo_state import clear_demo_state, is_demo_state, sandbox_for
from ct_pipeline.errors import PermanentError
from ct_pipeline.settings import load_settings


def test_a_folder_of_somebody_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(PermanentError, match="no demo has made it"):
        clear_demo_state(tmp_path, 5)
    assert (tmp_path / "thesis.txt").read_text() == "ten years of work"
    assert not is_demo_state(tmp_path)


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_or_missing_folder_becomes_the_demos(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path if exists else tmp_path / "demo"
    clear_demo_state(folder, 5)
    assert is_demo_state(folder)


def test_what_an_earlier_demo_left_is_removed(tmp_path: Path) -> None:
    clear_demo_state(tmp_path, 5)
    (tmp_path / "leftover").mkdir()
    clear_demo_state(tmp_path, 5)
    assert is_demo_state(tmp_path)
    assert not (tmp_path / "leftover").exists()


def test_settings_for_the_real_world_do_not_reach_the_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CT_DATABASE_URL", "postgresql://ct@192.0.2.1/production")
    monkeypatch.setenv("CT_NAMESERVERS", "192.0.2.53")
    before = dict(os.environ)
    clear_demo_state(tmp_path, 5)
    with sandbox_for(tmp_path) as sandbox:
        settings = load_settings()
        assert settings.database_url is None
        assert settings.state_dir == tmp_path
        assert [f"{host}:{port}" for host, port in settings.nameserver_endpoints] == [
            sandbox.environment["CT_NAMESERVERS"]
        ]
    assert dict(os.environ) == before


def test_the_account_is_as_it_was_left(tmp_path: Path) -> None:
    clear_demo_state(tmp_path, 40)
    with sandbox_for(tmp_path) as sandbox:
        someone = next(entry for entry in sandbox.clevertap.state() if entry["email"] and not entry["is_dnd"])
        sandbox.clevertap.opt_out(object_id=someone["object_ids"][0])
        left = sandbox.clevertap.state()
    with sandbox_for(tmp_path) as sandbox:
        found = sandbox.clevertap.state()
    assert len(found) == 40
    assert found == left
    assert next(entry for entry in found if entry["object_ids"] == someone["object_ids"])["is_dnd"]
