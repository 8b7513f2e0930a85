"""The people of the sandbox as profiles of a CleverTap account, with the faults that real accounts have (pure).

Who is drawn and what they are like depends on the seed alone; what they did lies within the year before ``now``.
"""

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import TypeVar

from ct_pipeline.sandbox.behaviours import MailboxBehaviour
from ct_pipeline.sandbox.clevertap.profiles import (
    APP_LAUNCHED,
    CHANNEL_UNSUBSCRIBED,
    DAY_SECONDS,
    REACHABLE_BY,
    AccountProfile,
    Raised,
    object_id_of,
)
from ct_pipeline.sandbox.contact_file import COUNTRIES, SPELLINGS, SYNTAX_FAULTS
from ct_pipeline.sandbox.population import Mailbox

T = TypeVar("T")

SEED = 20261125
EMAIL_SHARE = 0.94  # of the profiles; the others are anonymous
SHARED_RATE = 0.02  # of those: hold the address of another profile
MESSY_RATE = 0.02  # hold it in another spelling
NO_IDENTITY_RATE = 0.04  # are known by their devices alone
SECOND_IDENTITY_RATE = 0.01
SECOND_DEVICE_RATE = 0.2
PHONE_RATE = 0.3
OPTED_OUT_RATE = 0.02  # an event says so, and the address is opted out
CAME_BACK_RATE = 0.004  # opted out and in again
PROFILE_OPTED_OUT_RATE = 0.005  # their own flag is false; an event says so
SILENTLY_OPTED_OUT_RATE = 0.003  # their own flag is false, and nothing tells
PUSH_OPTED_OUT_RATE = 0.005  # the event is about push messages: it says nothing of e-mail
BOUNCED_RATE = 0.1  # of the mailboxes that are missing: the provider's bounce opted the address out
EVENTLESS_RATE = 0.001  # imported, and never seen since
QUIET_RATE = 0.01  # made through the API: Reachable By is all they ever raised
WORDY_RATE = 0.2  # of the subscription events write "true" for true
LONGEST_AGO_DAYS = 364
CAMPAIGNS = 24
_CUSTOMER_TYPES = ("Gold", "Silver", "Bronze")
_TAGS = ("newsletter", "beta", "wholesale", "returns", "loyal")


def address_count(profile_count: int) -> int:
    """How many mailboxes it takes that nobody shares an address without meaning to."""
    return int(profile_count * EMAIL_SHARE * (1 - SHARED_RATE)) + 1


def people(mailboxes: Sequence[Mailbox], count: int, now: float, seed: int = 0) -> Iterator[AccountProfile]:
    """``count`` profiles of an account whose people live at ``mailboxes``."""
    maker = _Maker(mailboxes, int(now), Random(SEED + seed))  # noqa: S311 not for secrets
    for number in range(1, count + 1):
        yield maker.profile(number)


class _Maker:
    def __init__(self, mailboxes: Sequence[Mailbox], now: int, random: Random) -> None:
        self._now, self._random = now, random
        self._campaigns = [_campaign(number) for number in range(CAMPAIGNS)]
        order = [(random.random(), place) for place in range(len(mailboxes))]
        self._waiting = [mailboxes[place] for _, place in sorted(order, reverse=True)]
        self._placed: list[Mailbox] = []
        self._faulty_addresses = [fault for fault in SYNTAX_FAULTS if fault]

    def profile(self, number: int) -> AccountProfile:
        has_email = self._happens(EMAIL_SHARE)
        mailbox = self._mailbox() if has_email else None
        profile = AccountProfile(events={})
        is_known = has_email and not self._happens(NO_IDENTITY_RATE)
        if is_known:
            profile.identity = f"cust-{1000 + number}"
            if self._happens(SECOND_IDENTITY_RATE):
                profile.other_identities = (f"shop-{1000 + number}",)
        device_count = 2 if self._happens(SECOND_DEVICE_RATE) else 1
        profile.object_ids = tuple(object_id_of(f"{number}-{device}") for device in range(device_count))
        if mailbox is not None:
            self._describe(profile, mailbox, number)
        self._live(profile)
        if mailbox is not None:
            self._decide(profile, mailbox)
        return profile

    def _mailbox(self) -> Mailbox | None:
        """Somebody new while there is somebody, and now and then one whom we had."""
        if self._placed and (not self._waiting or self._happens(SHARED_RATE)):
            return self._pick(self._placed)
        if not self._waiting:
            return None
        self._placed.append(self._waiting.pop())
        return self._placed[-1]

    def _describe(self, profile: AccountProfile, mailbox: Mailbox, number: int) -> None:
        local_part, _, domain = mailbox.address.rpartition("@")
        words = local_part.replace("-", " ").replace(".", " ").split()
        profile.name = " ".join(word.capitalize() for word in words)
        profile.email, profile.mailbox = mailbox.address, mailbox.address
        if "xn--" in domain:
            profile.email = f"{local_part}@{domain.encode('ascii').decode('idna')}"
        if self._happens(MESSY_RATE):
            profile.email = self._pick(SPELLINGS)(profile.email, profile.name)
        elif number % 1500 == 0:
            profile.email, profile.mailbox = self._faulty_addresses[number // 1500 % len(self._faulty_addresses)], None
        if self._happens(PHONE_RATE):
            digits = 12_025_550_100 + number % 100  # 555-0100 to 555-0199 are nobody's
            profile.phone = digits if self._happens(0.9) else f"+{digits}"
        profile.properties = self._properties()

    def _properties(self) -> dict[str, object]:
        """Of mixed types, as apps of several generations leave them behind."""
        properties: dict[str, object] = {"Customer Type": self._pick(_CUSTOMER_TYPES), "Country": self._pick(COUNTRIES)}
        if self._happens(0.6):
            visit_count = int(self._random.random() * 90)
            properties["visits"] = visit_count if self._happens(0.9) else str(visit_count)
        if self._happens(0.3):
            properties["Lifetime Value"] = round(self._random.random() * 900, 2)
        if self._happens(0.2):
            properties["Tags"] = [self._pick(_TAGS)] if self._happens(0.5) else self._pick(_TAGS)
        if self._happens(0.2):
            properties["is_member"] = self._happens(0.5) if self._happens(0.8) else "true"
        if self._happens(0.2):
            properties["Signed Up On"] = f"$D_{self._ago()}"
        return properties

    def _live(self, profile: AccountProfile) -> None:
        """What they raised within the past year."""
        if profile.email is not None and self._happens(EVENTLESS_RATE):
            return
        if profile.email is not None:
            profile.raised[REACHABLE_BY] = [Raised(self._ago())]
            if self._happens(QUIET_RATE):
                return
        profile.raised[APP_LAUNCHED] = [Raised(at) for at in self._moments(6)]
        if profile.email is not None and self._happens(0.5):
            profile.raised["Notification Viewed"] = self._reactions()
            if self._happens(0.3):
                profile.raised["Notification Clicked"] = self._reactions()

    def _reactions(self) -> list[Raised]:
        return [Raised(at, self._pick(self._campaigns)) for at in self._moments(4)]

    def _decide(self, profile: AccountProfile, mailbox: Mailbox) -> None:
        """Whether they, or a bounce, opted out of e-mail before anyone cleaned the list."""
        drawn = self._random.random()
        if self._happens(PUSH_OPTED_OUT_RATE):
            about = {"Identity": profile.object_ids[0], "Campaign Type": "Push", "Resubscribed": False}
            profile.raised[CHANNEL_UNSUBSCRIBED] = [Raised(self._ago(), about)]
        elif mailbox.behaviour is MailboxBehaviour.MISSING and drawn < BOUNCED_RATE:
            profile.is_dnd = True
            reason = f"550 5.1.1 <{profile.email}>: Recipient address rejected: User unknown"
            self._opt_out(profile, "account", {"Type": "bounced", "Reason": reason})
        elif drawn < OPTED_OUT_RATE:
            profile.is_dnd = True
            self._opt_out(profile, "account")
        elif drawn < OPTED_OUT_RATE + CAME_BACK_RATE:
            self._opt_out(profile, "account", comes_back=True)
        elif drawn < OPTED_OUT_RATE + CAME_BACK_RATE + PROFILE_OPTED_OUT_RATE:
            profile.msg_email = False
            self._opt_out(profile, "profile")
        elif drawn < OPTED_OUT_RATE + CAME_BACK_RATE + PROFILE_OPTED_OUT_RATE + SILENTLY_OPTED_OUT_RATE:
            profile.msg_email = False

    def _opt_out(
        self, profile: AccountProfile, level: str, more: Mapping[str, object] | None = None, *, comes_back: bool = False
    ) -> None:
        at = self._ago()
        campaign = self._pick(self._campaigns)
        about = {
            "Identity": profile.email,
            "Subscription Type": level,
            "Campaign ID": campaign["Campaign id"],  # this event spells its properties in another way
            "Campaign Type": campaign["Campaign type"],
        }
        is_wordy = self._happens(WORDY_RATE)
        raised = [Raised(at, {**about, "Resubscribed": "false" if is_wordy else False, **(more or {})})]
        if comes_back:
            back_at = at + (self._now - at) // 2
            raised.append(Raised(back_at, {**about, "Resubscribed": "true" if is_wordy else True}))
        profile.raised[CHANNEL_UNSUBSCRIBED] = raised

    def _moments(self, most: int) -> list[int]:
        return sorted(self._ago() for _ in range(1 + int(self._random.random() * most)))

    def _ago(self) -> int:
        return self._now - 1 - int(self._random.random() * LONGEST_AGO_DAYS * DAY_SECONDS)

    def _happens(self, rate: float) -> bool:
        return self._random.random() < rate

    def _pick(self, choices: Sequence[T]) -> T:
        return choices[int(self._random.random() * len(choices))]


def _campaign(number: int) -> Mapping[str, object]:
    return {
        "Campaign id": f"{1_766_000_000 + number}",
        "Campaign type": "Email",
        "Campaign name": f"Campaign {number + 1}",
    }
