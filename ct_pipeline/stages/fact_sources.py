"""Which list says what of an address: the flags of a verdict, each with where it comes from."""

from collections.abc import Callable
from importlib.metadata import version

from ct_pipeline.addresses.gibberish import model_provenance
from ct_pipeline.addresses.role import date_of_role_words
from ct_pipeline.domains.disposable import LIST_PACKAGE, date_of_hosts, is_disposable
from ct_pipeline.domains.providers import Providers
from ct_pipeline.verdicts.verdict import Verdict


def flag_sources(verdict: Verdict, providers: Providers) -> dict[str, str]:
    """The flags that are set, such as ``is_role``, each with the list that it comes from."""
    domain = verdict.address.rpartition("@")[2]
    sources: dict[str, Callable[[], str]] = {
        "is_disposable": lambda: _disposable_source(domain, verdict.mx_record),
        "is_free": lambda: _free_source(domain, providers),
        "is_role": lambda: f"role_words.toml, {date_of_role_words()}",
        "is_gibberish": lambda: "CT_GIBBERISH; {}, {}".format(*model_provenance()),
    }
    return {name: source() for name, source in sources.items() if getattr(verdict, name)}


def _disposable_source(domain: str, mx_record: str | None) -> str:
    if is_disposable(domain):
        return f"the package {LIST_PACKAGE} {version(LIST_PACKAGE)}"
    return f"its mail host {mx_record}: disposable_hosts.toml ({date_of_hosts()}), or listed in {LIST_PACKAGE} itself"


def _free_source(domain: str, providers: Providers) -> str:
    row = next((row for row in providers.rows if domain in row.free_domains), None)
    if row is not None:
        return f"providers.toml, {row.name}: {row.source['free']}"
    listed = next((free for free in providers.free_lists if domain in free.domains), None)
    return f"providers.toml: {listed.source}" if listed else "providers.toml of an earlier version"
