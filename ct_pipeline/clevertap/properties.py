"""Which names and values CleverTap takes as custom profile properties (pure).

Sources: https://developer.clevertap.com/docs/upload-user-profiles-api (120 bytes a name, 512 bytes a value) and
CleverTap's page "Platform considerations" (the characters a name must not hold). Where bytes and characters are both
named, the stricter one counts.
"""

from datetime import datetime

MAX_NAME_BYTES = 120
MAX_VALUE_BYTES = 512
FORBIDDEN_CHARACTERS = "%><!|&.:;$'\"\\#"
_SYSTEM_NAMES = frozenset({
    *("name", "email", "phone", "gender", "employed", "education", "married", "dob", "age", "photo", "tz", "timezone"),
    *("identity", "objectid", "fbid", "gpid", "category-unsubscribe", "category-resubscribe"),
})  # fmt: skip


def check_property_name(name: str) -> None:
    """Nothing, when ``name`` can be a custom property.

    Raises:
        ValueError: it cannot; the text says why and what would do.
    """
    if not name or name != name.strip():
        raise ValueError(f"{name!r} is empty, or begins or ends with a space")
    size = len(name.encode("utf-8", "replace"))
    if size > MAX_NAME_BYTES:
        raise ValueError(f"{name!r} has {size} bytes; a property name has at most {MAX_NAME_BYTES}")
    if bad := [character for character in name if character in FORBIDDEN_CHARACTERS or not character.isprintable()]:
        raise ValueError(f"{name!r} holds {bad[0]!r}; use letters, digits, spaces, _ and -")
    low = name.lower()
    if low in _SYSTEM_NAMES or low.startswith(("msg-", "msg_")):
        raise ValueError(f"{name!r} is a property of CleverTap's own; choose another name")


def fitting_value(value: str) -> str:
    """``value``, cut at a character to the 512 bytes that CleverTap stores.

    >>> len(fitting_value("ü" * 300).encode())
    512
    """
    return value.encode("utf-8", "replace")[:MAX_VALUE_BYTES].decode("utf-8", "ignore")


def as_date(at: datetime) -> str:
    """``at`` as the date value that uploads take: ``$D_`` and Unix seconds.

    Raises:
        ValueError: ``at`` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("a time without a time zone")
    return f"$D_{int(at.timestamp())}"
