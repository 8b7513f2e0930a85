"""A small account written by hand, as JSON or CSV."""

import json
import re

import pytest

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.clevertap.account_file import read_account_file
from ct_pipeline.sandbox.clevertap.profiles import Raised


def test_json(tmp_path):
    file = tmp_path / "profiles.json"
    anna = {
        "identity": "anna",
        "email": "anna@acme.test",
        "object_ids": ["__g1", "__g2"],
        "properties": {"visits": 7},
        "msg_email": False,
        "is_dnd": True,
        "events": {
            "App Launched": ["2026-01-01T00:00:00", "2026-01-01T01:00:00+01:00", 1767225600],
            "Channel Unsubscribed": [{"at": 1767225600, "properties": {"Type": "spam"}}],
        },
    }
    file.write_text(json.dumps([anna, {"email": "bob@acme.test"}]))
    first, second = read_account_file(file)
    first.settle(1)
    assert (first.identity, first.object_ids, first.properties) == ("anna", ("__g1", "__g2"), {"visits": 7})
    assert (first.msg_email, first.is_dnd) == (False, True)
    assert first.raised["App Launched"] == [Raised(1767225600)] * 3
    assert first.raised["Channel Unsubscribed"] == [Raised(1767225600, {"Type": "spam"})]
    assert (second.identity, second.email, second.msg_email) == (None, "bob@acme.test", None)


def test_csv(tmp_path):
    file = tmp_path / "profiles.csv"
    file.write_text(
        "identity,email,object_ids,msg_email,is_dnd,Plan\n"
        "anna,anna@acme.test,__g1 __g2,false,true,Gold\n"
        ",bob@acme.test,,,,\n",
        encoding="utf-8-sig",
    )
    first, second = read_account_file(file)
    assert (first.identity, first.object_ids, first.properties) == ("anna", ("__g1", "__g2"), {"Plan": "Gold"})
    assert (first.msg_email, first.is_dnd) == (False, True)
    assert (second.identity, second.email, second.properties, second.msg_email) == (None, "bob@acme.test", {}, None)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.json", "{", "Expecting property name"),
        ("a.json", "{}", "an array of profiles is expected"),
        ("a.json", '[{}, {"mail": 1}]', "profile 2: 'mail' is no field of a profile; one of email"),
        ("a.json", '[{"identity": 5}]', "profile 1: identity is 5; text is expected"),
        ("a.json", "[5]", "profile 1: "),
        ("a.json", '[{"events": {"x": ["soon"]}}]', "profile 1: "),
        ("a.csv", "identity,is_dnd\nanna,perhaps\n", "profile 1: is_dnd is 'perhaps'; true or false is expected"),
    ],
)
def test_faults_name_the_file_and_the_profile(tmp_path, name, text, fault):
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=re.escape(str(tmp_path / name)) + ".*" + re.escape(fault)):
        read_account_file(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.json: No such file"):
        read_account_file(tmp_path / "none.json")
