"""What the operator has settled beforehand: addresses and domains that are always, or never, mailed."""

from typing import Literal, NamedTuple


class Listing(NamedTuple):
    """The entry of the operator's lists that decides about an address."""

    is_allowed: bool  # False: it is on the block list
    covers: Literal["address", "domain"]
    entry: str  # as it stands in the list, such as *.example.org
