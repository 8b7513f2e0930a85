"""The key that stands in the place of an address."""

import pytest

from ct_pipeline.addresses.unusable import KEY_MAX_CHARS, printable_key


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ("  n/a \r\n", "n/a"),
        ("a\x00b", "a\\x00b"),
        ("a\\x00b", "a\\x5cx00b"),
        ("a\u200bb", "a\\u200bb"),
        ("a\ud800b", "a\\ud800b"),
        ("a\U000e0001b", "a\\U000e0001b"),
        ("jürgen", "jürgen"),
        ("", ""),
    ],
)
def test_key_is_printable(raw: str, key: str) -> None:
    assert printable_key(raw) == key


def test_long_texts_keep_keys_apart() -> None:
    long, longer = "x" * 5000, "x" * 5001
    assert len(printable_key(long)) == KEY_MAX_CHARS
    assert printable_key(long) != printable_key(longer)
    assert printable_key("x" * KEY_MAX_CHARS) == "x" * KEY_MAX_CHARS
