"""What a good record of ``/1/upload`` or ``/1/subscribe`` does to the account (5, 6; no I/O)."""

from collections.abc import Callable, Mapping
from typing import Any

from ct_pipeline.sandbox.clevertap.account import Account
from ct_pipeline.sandbox.clevertap.faults import Faults
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile
from ct_pipeline.sandbox.clevertap.records import identifier_of

LONGEST_KEY_BYTES = 120
LONGEST_VALUE_BYTES = 512
MOST_PROPERTIES = 256
MOST_ITEMS = 100
FORBIDDEN_IN_KEYS = frozenset("%><!|&.:;$'\"\\#")
CONTENT_FLAGS = ("MSG-sms", "MSG-push", "MSG-push-all", "MSG-whatsapp", "MSG-webpush", "MSG-dndPhone", "MSG-dndSMS")
_MISSING = object()


def apply_record(account: Account, faults: Faults, record: Mapping[str, Any]) -> AccountProfile | None:
    """Do what the record says; an identifier that nobody has makes a new profile (5.1). None: it was a token."""
    if record["type"] == "token":
        return None
    kind, value = identifier_of(record)
    profile = account.by_object_id(value) if kind == "objectId" else account.by_identity(value)
    if profile is None:
        new = AccountProfile(object_ids=(value,)) if kind == "objectId" else AccountProfile(identity=value)
        new.events, new.is_made_by_upload = {}, True
        profile = account.add(new)
    if record["type"] == "event":
        at = int(record.get("ts") or account.now())
        account.raise_event(profile, record["evtName"], record.get("evtData") or {}, at)
    else:
        account.before_write(profile)
        _set_profile_data(account, faults, profile, record["profileData"])
    return profile


def apply_subscription(account: Account, record: Mapping[str, Any]) -> None:
    """Opt an address out or in, whoever holds it; an address that nobody holds is taken all the same."""
    if record["type"] != "email":
        return
    address = str(record["value"])
    for profile in account.holders(address):
        account.before_write(profile)
    account.set_opted_out(address, record["status"] == "Unsubscribe")


def _set_profile_data(account: Account, faults: Faults, profile: AccountProfile, data: Mapping[str, object]) -> None:
    for name, value in data.items():
        match name:
            case "Email":
                account.set_email(profile, str(value).strip())
            case "Name":
                profile.name = str(value)
            case "Phone":
                profile.phone = value  # type: ignore[assignment]
            case "identity":
                account.attach_identity(profile, str(value))
            case "MSG-email":
                if (flag := _flag(value)) is not None:
                    account.set_msg_email(profile, flag)
            case "MSG-dndEmail" | "MSG-dndemail":
                if (flag := _flag(value)) is not None and profile.email is not None:
                    account.set_opted_out(profile.email, flag)
            case "category-unsubscribe" | "category-resubscribe":
                pass
            case _ if name in CONTENT_FLAGS:
                pass
            case _ if name not in faults.ignored_properties:
                _set_property(account, profile.properties, name, value)


def _set_property(account: Account, properties: dict[str, object], name: str, value: object) -> None:
    """Store a property if it keeps the limits; whatever does not is dropped without a word, as CleverTap does (5.3)."""
    if _byte_count(name) > LONGEST_KEY_BYTES or FORBIDDEN_IN_KEYS & set(name) or not name.strip():
        return
    switches = account.switches
    if not switches.has_case_sensitive_properties:
        name = next((known for known in properties if known.lower() == name.lower()), name)
    if value is None:
        if switches.null_values == "delete":
            properties.pop(name, None)
        elif switches.null_values == "stored":
            properties[name] = None
        return
    if isinstance(value, dict):
        fate = switches.delete_operator if "$delete" in value else switches.other_operators
        if fate == "ignored":
            return
        if fate == "applied":
            value = _operated(properties.get(name, _MISSING), value)
    if value is _MISSING:
        properties.pop(name, None)
        return
    value = _within_limits(value, is_cut=switches.long_values == "truncated")
    if value is not _MISSING and (name in properties or len(properties) < MOST_PROPERTIES):
        properties[name] = value


def _operated(held: object, operation: Mapping[str, object]) -> object:
    """The property after ``{"$operator": operand}``; ``_MISSING``: it is gone."""
    operator, operand = next(iter(operation.items()), ("", None))
    operate = _OPERATORS.get(operator)
    return operate(held, operand) if operate else held


def _added(held: object, operand: object) -> object:
    items = dict.fromkeys(_items(held))
    for item in _items(operand):
        items.pop(item, None)
        items[item] = None
    return list(items)[-MOST_ITEMS:]


def _removed(held: object, operand: object) -> object:
    gone = set(_items(operand))
    left = [item for item in _items(held) if item not in gone]
    return left or _MISSING


def _counted(held: object, operand: object, sign: int) -> object:
    is_number = isinstance(held, (int, float)) and isinstance(operand, (int, float))
    if held is _MISSING and isinstance(operand, (int, float)):
        return sign * operand
    return held + sign * operand if is_number else held  # type: ignore[operator]


_OPERATORS: dict[str, Callable[[object, object], object]] = {
    "$add": _added,
    "$remove": _removed,
    "$set": lambda _held, operand: operand,
    "$delete": lambda held, operand: held if operand in (False, None, 0) else _MISSING,
    "$incr": lambda held, operand: _counted(held, operand, 1),
    "$decr": lambda held, operand: _counted(held, operand, -1),
}


def _items(value: object) -> list[str]:
    if value is _MISSING:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _within_limits(value: object, *, is_cut: bool) -> object:
    if isinstance(value, list):
        kept = (_within_limits(str(item), is_cut=is_cut) for item in value)
        return list(dict.fromkeys(item for item in kept if item is not _MISSING))[-MOST_ITEMS:]
    if isinstance(value, str) and _byte_count(value) > LONGEST_VALUE_BYTES:
        return value.encode(errors="ignore")[:LONGEST_VALUE_BYTES].decode(errors="ignore") if is_cut else _MISSING
    return value


def _byte_count(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def _flag(value: object) -> bool | None:
    """A boolean as ``MSG-`` flags accept it; None: it is none."""
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
