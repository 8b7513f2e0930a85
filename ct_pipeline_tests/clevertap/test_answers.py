"""What an answer means, for any status and any body: never an exception, never CleverTap's words uncut."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ct_pipeline.clevertap.answers import (
    LONGEST_QUOTE,
    Busy,
    NotFound,
    NotReady,
    Refused,
    StaleCursor,
    Success,
    Trouble,
    answer_of,
    quoted,
)
from ct_pipeline.clevertap.json_bodies import parse_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
ENVELOPE = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["success", "partial", "fail", "", None, 7]),
        "error": st.text() | JSON,
        "message": st.text() | JSON,
        "code": st.integers() | JSON,
        "records": JSON,
        "unprocessed": JSON,
        "processed": JSON,
    },
)
BODIES = st.binary() | st.builds(lambda value: json.dumps(value).encode(), ENVELOPE | JSON)


@given(st.integers(100, 599), BODIES, st.text(max_size=10))
@example(200, b"\xff\xfe{", "9" * 400)
def test_any_answer_means_something(status: int, body: bytes, retry_after: str) -> None:
    answer = answer_of(status, body, retry_after)
    assert isinstance(answer, Success | NotReady | Busy | Trouble | StaleCursor | NotFound | Refused)
    if isinstance(answer, Success):
        assert 200 <= status < 300
    elif isinstance(answer, Refused):
        assert str(answer.error).isprintable()
        assert len(str(answer.error)) < LONGEST_QUOTE + 300
    else:
        assert answer.what.isprintable()
        assert len(answer.what) <= LONGEST_QUOTE + 100


@given(st.text(max_size=3000))
def test_words_that_are_shown_are_one_bounded_line(text: str) -> None:
    assert quoted(text).isprintable()
    assert len(quoted(text)) <= LONGEST_QUOTE


@pytest.mark.parametrize(
    "text", ["mira@example.net", "<mira@example.net>", "to:mira@example.net, x", "a 'mira@x' b", "@mira@x"]
)
def test_words_that_are_shown_hold_no_address(text: str) -> None:
    assert "mira" not in quoted(text)


def answer(http_status: int, /, **payload: object) -> type:
    return type(answer_of(http_status, json.dumps(payload).encode()))


@pytest.mark.parametrize("status", [200, 202, 400, 500])
def test_the_code_in_the_body_counts_whatever_the_status(status: int) -> None:
    assert answer(status, status="fail", code=1, error="x") is Busy
    assert answer(status, status="fail", code=2, error="x") is NotReady
    assert answer(status, status="fail", code=401, error="x") is Refused
    assert answer(status, status="fail", code="403", error="x") is Refused


def test_202_is_not_ready_but_for_an_upload_that_was_done() -> None:
    assert answer(202, status="success", cursor="x") is NotReady
    assert answer(202, status="success", processed=3, unprocessed=[]) is Success


def test_a_text_that_sounds_like_trouble_inside_a_success_is_data() -> None:
    for words in ("account blocked", "Incorrect Usage", "Too many concurrent requests", "not found"):
        assert answer(200, status="success", message=words, code=1) is Success
        assert answer(200, status="success", records=[{"name": words}]) is Success


@pytest.mark.parametrize("body", [b"NaN", b"[1e400]", b"-Infinity", b"", b"\xff", b"{", b"[" * 10**5, b"1" * 10**4])
def test_no_half_understood_documents(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(body)
