"""Which domains hand out throw-away mailboxes, by the list of the package ``disposable-email-domains``."""

from functools import cache

# Listed there, yet the ordinary mail of an access provider's and a portal's subscribers (India, China).
LISTED_BY_MISTAKE = frozenset({"21cn.com", "sify.com"})


def is_disposable(domain: str) -> bool:
    """Whether ``domain``, or a domain above it, hands out throw-away mailboxes.

    Domains above count because such services give every visitor a name below their own.
    """
    listed = _listed_domains()
    labels = domain.lower().split(".")
    # A single label is a top-level domain: never one service's.
    return any(".".join(labels[start:]) in listed for start in range(len(labels) - 1))


@cache
def _listed_domains() -> frozenset[str]:
    # Loaded at the first question: 10,000 strings that most commands never need.
    from disposable_email_domains import blocklist

    return frozenset(blocklist) - LISTED_BY_MISTAKE
