"""Which answer belongs to which record, for any mixture of refusals, however the server tells it."""

from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.clevertap.records import Identifier
from ct_pipeline.clevertap.uploads import (
    PropertyRecord,
    SubscriptionRecord,
    match_answers,
    subscription_records,
    upload_records,
)
from ct_pipeline.errors import CleverTapUnavailableError
from ct_pipeline.vocabulary import IdentifierKind


def profiles(count: int) -> list[dict[str, object]]:
    kinds = [IdentifierKind.IDENTITY, IdentifierKind.OBJECT_ID]
    return upload_records([PropertyRecord(Identifier(kinds[n % 2], str(n)), {"EV": n}) for n in range(count)])


def addresses(count: int) -> list[dict[str, object]]:
    return subscription_records([SubscriptionRecord(f"u{n // 2}@example.net", n % 2 == 0) for n in range(count)])


def refusal(number: int, record: Mapping[str, object], ways: str) -> dict[str, object]:
    """As the server tells that record ``number`` (from 1) was refused."""
    said: dict[str, object] = {"status": "fail", "code": 500 + number, "error": f"Reason {number}."}
    if ways in ("number", "both"):
        said["error"] = f"Reason {number}.Skipped record number : {number}"
    if ways == "counts from zero":
        said["error"] = f"Reason {number}. Skipped record number : {number - 1}"
    if ways != "number":
        numeric = {"identity": int(str(record["identity"]))} if "identity" in record else {}
        said["record"] = {**record, **numeric}
    return said


@given(
    st.sampled_from([profiles, addresses]),
    st.integers(1, 40),
    st.sampled_from(["number", "echo", "both", "counts from zero"]),
    st.randoms(use_true_random=False),
)
def test_every_refusal_finds_its_record(make: object, count: int, ways: str, random: Random) -> None:
    sent = profiles(count) if make is profiles else addresses(count)
    refused = random.sample(range(1, count + 1), random.randint(0, count))
    payload = {
        "status": "partial",
        "processed": count - len(refused),
        "unprocessed": [refusal(number, sent[number - 1], ways) for number in refused],
    }
    answers = match_answers(sent, payload)
    for number, answer in enumerate(answers, 1):
        assert answer.is_processed == (number not in refused)
        if not answer.is_processed:
            assert (answer.code, answer.text) == (500 + number, f"Reason {number}.")


# texts recorded in real exchanges
RECORDED = [
    "Profile data is incorrect. Email is not valid.Skipped record number : 1",
    "Profile data is incorrect. Education needs to be School/College/Graduate..Skipped record number : 1",
    "Timestamp should be present in the Unix Epoch format. Skipped record number : 1",
    "Event Name is incorrect. ErrorCode: 513 - Trying to raise a restricted system event. Skipped record number : 1",
]


@pytest.mark.parametrize("text", RECORDED)
def test_recorded_texts_are_read(text: str) -> None:
    payload = {"status": "fail", "processed": 0, "unprocessed": [{"status": "fail", "code": "525", "error": text}]}
    (answer,) = match_answers(profiles(1), payload)
    assert (answer.code, answer.text) == (525, text.partition("Skipped")[0].strip())


@pytest.mark.parametrize(
    "payload",
    [
        {"status": "success", "processed": 2},
        {"status": "success", "processed": 4},
        {"status": "success", "processed": True},
        {"status": "success", "processed": "3"},
        {"status": "partial"},
        {"status": "fail", "processed": 0, "unprocessed": []},
        {"status": "partial", "processed": 3, "unprocessed": [None]},
        {"status": "partial", "processed": 2, "unprocessed": [{"error": "Skipped record number : 9"}]},
        {"status": "partial", "processed": 2, "unprocessed": [{"error": "Skipped record number : 0"}]},
        {"status": "partial", "processed": 2, "unprocessed": [{"error": None, "record": {"identity": "none of them"}}]},
        {"status": "partial", "processed": 1, "unprocessed": [{"error": "Skipped record number : 1"}] * 2},
        {"status": "partial", "processed": 0, "unprocessed": [{"error": "Skipped record number : 1"}] * 4},
        {"status": "success", "processed": 3, "unprocessed": {"a": 1}},
    ],
)
def test_what_cannot_be_matched_is_no_answer(payload: dict[str, object]) -> None:
    with pytest.raises(CleverTapUnavailableError, match="upload"):
        match_answers(profiles(3), payload)


def test_two_records_of_one_address_are_told_apart_by_their_direction() -> None:
    sent = addresses(2)
    echo = {"error": "x", "record": {"value": "U0@EXAMPLE.net", "status": "unsubscribe"}}
    answers = match_answers(sent, {"status": "partial", "processed": 1, "unprocessed": [echo]})
    assert [answer.is_processed for answer in answers] == [True, False]
