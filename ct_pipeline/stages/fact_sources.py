"""Which list says what of an address: the flags of a verdict, each with where it comes from."""

from importlib.metadata import version

from ct_pipeline.domains.providers import Providers
from ct_pipeline.verdicts.verdict import Verdict


def flag_sources(verdict: Verdict, providers: Providers) -> dict[str, str]:
    """The flags that are set, such as ``is_role``, each with the list that it comes from."""
    domain = verdict.address.rpartition("@")[2]
    sources = {
        "is_disposable": f"the package disposable-email-domains {version('disposable-email-domains')}",
        "is_free": _free_source(domain, providers),
        "is_role": "role_words.toml",
        "is_gibberish": "how likely its letters follow each other",
    }
    return {name: source for name, source in sources.items() if getattr(verdict, name)}


def _free_source(domain: str, providers: Providers) -> str:
    row = next((row for row in providers.rows if domain in row.free_domains), None)
    if row is not None:
        return f"providers.toml, {row.name}: {row.source['free']}"
    listed = next((free for free in providers.free_lists if domain in free.domains), None)
    return f"providers.toml: {listed.source}" if listed else "providers.toml of an earlier version"
