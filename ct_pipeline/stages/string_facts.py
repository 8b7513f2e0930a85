"""What the spelling of an address and today's lists tell, worked out for many addresses at once when they are judged.

Nothing of it is stored at intake, so that a new list changes verdicts without a packet of traffic; the versions of all
lists are parts of the rules version.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import polars as pl

from ct_pipeline.addresses.canonical import canonical_forms
from ct_pipeline.addresses.gibberish import gibberish_mask
from ct_pipeline.addresses.operator_lists import Listing
from ct_pipeline.addresses.role import role_mask
from ct_pipeline.domains.disposable import is_disposable, is_disposable_host
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.stages.operator_list_files import load_operator_lists
from ct_pipeline.storage.verdicts import EvidenceRow


class StringFacts(NamedTuple):
    """Of one address; all False and None of a string that is no address."""

    is_role: bool
    is_gibberish: bool
    canonical_email: str | None  # None: the address itself
    listing: Listing | None
    is_disposable: bool
    is_free: bool


class StringFactFinder:
    """Today's lists, and the operator's as they stand in their files.

    Raises:
        SettingsError: a list of the operator cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self.operator_lists = load_operator_lists(settings)
        self._threshold = settings.gibberish

    def find(self, rows: Sequence[EvidenceRow]) -> list[StringFacts]:
        """The facts of each row, in their order."""
        addresses = pl.Series([None if row.domain is None else row.address for row in rows], dtype=pl.String)
        providers = pl.Series([row.provider for row in rows], dtype=pl.String)
        local_parts = addresses.str.extract(r"^(.*)@")
        by_string = zip(
            role_mask(local_parts),
            gibberish_mask(local_parts, self._threshold),
            canonical_forms(addresses, providers),
            strict=True,
        )
        listings = self._listings(rows)
        return [
            StringFacts(*of_string, listing, *_facts_of_domain(row.domain, row.mx_record))
            for row, of_string, listing in zip(rows, by_string, listings, strict=True)
        ]

    def _listings(self, rows: Sequence[EvidenceRow]) -> list[Listing | None]:
        if not self.operator_lists.entry_count:
            return [None] * len(rows)
        return [None if row.domain is None else self.operator_lists.listing_of(row.address) for row in rows]


@lru_cache(maxsize=100_000)
def _facts_of_domain(domain: str | None, mx_record: str | None) -> tuple[bool, bool]:
    """Whether it is disposable, and whether it is free."""
    if domain is None:
        return False, False
    is_throw_away = is_disposable(domain) or (mx_record is not None and is_disposable_host(mx_record))
    return is_throw_away, load_providers().is_free(domain)
