"""Lanes: the partitions of the verifier. A large provider has its own; every other site shares one of 64."""

from functools import cache, lru_cache
from hashlib import blake2b

from tldextract import TLDExtract

from ct_pipeline.domains.providers import Providers

SMALL_LANES = "small-"  # what the names of the shared lanes begin with
SMALL_LANE_COUNT = 64  # never changed: a site would move to another lane while its old one is being worked on


def lane_keys(providers: Providers) -> list[str]:
    """Every lane: one per provider with ``has_lane`` in the order of the file, then ``small-00`` to ``small-63``."""
    return [row.name for row in providers.rows if row.has_lane] + [_small(n) for n in range(SMALL_LANE_COUNT)]


def lane_of(site: str, providers: Providers) -> str:
    """The lane that works on ``site`` (a provider's name or a registrable domain)."""
    provider = providers.named(site)
    if provider is not None and provider.has_lane:
        return provider.name
    digest = blake2b(site.encode(), digest_size=8).digest()
    return _small(int.from_bytes(digest, "big") % SMALL_LANE_COUNT)


@lru_cache(maxsize=50_000)
def registrable_domain(host: str) -> str:
    """The domain that someone registered: ``example.co.uk`` of ``mx1.mail.example.co.uk``.

    Below a top-level domain that the public suffix list does not know, the last two labels (the list's own ``*`` rule);
    a host that is itself a public suffix, or has one label, is returned as it is. Suffixes that companies run for their
    customers (``*.amazonaws.com``) do not count: limits belong to whoever runs the machines.
    """
    labels = host.lower().rstrip(".").split(".")
    suffix = _extractor().extract_str(".".join(labels)).suffix
    suffix_length = suffix.count(".") + 1
    return ".".join(labels[-(suffix_length + 1) :])


@cache
def _extractor() -> TLDExtract:
    # The list that the package carries: no network, and nothing written to a cache folder.
    return TLDExtract(suffix_list_urls=(), cache_dir=None, fallback_to_snapshot=True)


def _small(number: int) -> str:
    return f"{SMALL_LANES}{number:02}"
