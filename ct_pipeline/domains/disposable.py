"""Which domains hand out throw-away mailboxes: by the list of the package ``disposable-email-domains``, and by the
mail hosts that such services use.
"""

import tomllib
from functools import cache, lru_cache
from importlib.resources import files

from ct_pipeline.domains.lanes import registrable_domain
from ct_pipeline.domains.providers import load_providers

LIST_PACKAGE = "disposable-email-domains"


def is_disposable(domain: str) -> bool:
    """Whether ``domain``, or a domain above it, hands out throw-away mailboxes.

    Domains above count because such services give every visitor a name below their own.
    """
    listed = listed_domains()
    labels = domain.lower().split(".")
    # A single label is a top-level domain: never one service's.
    return any(".".join(labels[start:]) in listed for start in range(len(labels) - 1))


@lru_cache(maxsize=50_000)
def is_disposable_host(mx_host: str) -> bool:
    """Whether ``mx_host`` belongs to a service of throw-away mailboxes, so that every domain it serves does.

    By ``disposable_hosts.toml``; or because its own registrable domain is listed, unless a provider of
    ``providers.toml`` runs it.
    """
    host = mx_host.lower().rstrip(".")
    if host in listed_hosts():
        return True
    return load_providers().of_host(host) is None and registrable_domain(host) in listed_domains()


@cache
def listed_domains() -> frozenset[str]:
    """The list, without the ordinary mail domains that stand there by mistake (``sify.com``, ``21cn.com``)."""
    # Loaded at the first question: 10,000 strings that most commands never need.
    from disposable_email_domains import blocklist

    return frozenset(blocklist) - load_providers().free_domains()


@cache
def listed_hosts() -> frozenset[str]:
    """The hosts of ``disposable_hosts.toml``."""
    return frozenset(host for row in _host_rows() for host in row["hosts"])


def date_of_hosts() -> str:
    """The month of the newest row of ``disposable_hosts.toml``."""
    return max(row["date"] for row in _host_rows())


@cache
def _host_rows() -> list[dict]:
    text = files("ct_pipeline.domains").joinpath("disposable_hosts.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["hosts"]
