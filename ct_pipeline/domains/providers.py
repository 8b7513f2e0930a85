"""Who runs the mail hosts of a domain, and how to behave there: the rows of ``providers.toml``."""

from collections.abc import Iterable
from functools import cache
from hashlib import blake2b
from importlib.resources import files

from ct_pipeline.domains.provider import Accepts, FreeList, Probing, Provider, RandomProbe, Refuses
from ct_pipeline.domains.provider_rows import read_rows

__all__ = [
    "Accepts", "FreeList", "Probing", "Provider", "Providers", "RandomProbe", "Refuses", "load_providers",
    "read_providers",
]  # fmt: skip


class Providers:
    """All rows, found by name or by mail host. ``version`` changes with the text they were read from."""

    def __init__(self, rows: Iterable[Provider], free_lists: Iterable[FreeList] = (), version: str = "") -> None:
        self.rows = tuple(rows)
        self.free_lists = tuple(free_lists)
        self.version = version
        self._by_name = {row.name: row for row in self.rows}
        self._by_host = {host: row for row in self.rows for host in row.mx_hosts}
        self._by_suffix = {suffix: row for row in self.rows for suffix in row.mx_suffixes}
        self._free = frozenset(
            [domain for row in self.rows for domain in row.free_domains]
            + [domain for free in self.free_lists for domain in free.domains]
        )

    @property
    def date(self) -> str:
        """The newest month among the sources of all claims, as ``2026-11``."""
        sources = [source for row in self.rows for source in row.source.values()]
        return max(source.month for source in [*sources, *(free.source for free in self.free_lists)])

    def named(self, name: str) -> Provider | None:
        return self._by_name.get(name)

    def of_host(self, mx_host: str) -> Provider | None:
        """The provider that runs ``mx_host``, or None."""
        host = mx_host.lower().rstrip(".")
        if host in self._by_host:
            return self._by_host[host]
        dot = host.find(".")
        while dot != -1:
            if (row := self._by_suffix.get(host[dot:])) is not None:
                return row
            dot = host.find(".", dot + 1)
        return None

    def is_free(self, domain: str) -> bool:
        """Whether anyone can have a mailbox at ``domain``, so that it does not tell who employs them."""
        return domain.lower() in self._free

    def free_domains(self) -> frozenset[str]:
        return self._free

    @property
    def list_month(self) -> str:
        """The month (``2026-11``) of the newest claim: how old the rows and the free domains are."""
        sources = [source for row in self.rows for source in row.source.values()]
        return max((source.month for source in [*sources, *(free.source for free in self.free_lists)]), default="")

    @property
    def provenance(self) -> str:
        """Where the rows and the free domains come from, in a few words for a report on the lists in use."""
        return (
            f"providers.toml {self.version}, {len(self.rows)} providers, {len(self._free)} free domains; "
            f"each claim with its source and month, the newest of {self.list_month}"
        )


@cache
def load_providers() -> Providers:
    """The rows of ``providers.toml``, checked.

    Raises:
        ValueError: the file contradicts itself; the text names the row.
    """
    return read_providers(files("ct_pipeline.domains").joinpath("providers.toml").read_text(encoding="utf-8"))


def read_providers(text: str) -> Providers:
    """Providers from the text of a TOML file: ``[[provider]]`` rows, and ``[[free]]`` lists of further free domains.

    Raises:
        ValueError: a claim lacks its source, a row has an unknown key, or takes what another row has.
    """
    rows, free_lists = read_rows(text)
    return Providers(rows, free_lists, version=blake2b(text.encode(), digest_size=6).hexdigest())
