"""Every list that verdicts rest on: its version, where it comes from, and how old it is."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import distribution, version
from pathlib import Path
from typing import NamedTuple

from ct_pipeline.addresses.canonical import canonical_rules
from ct_pipeline.addresses.gibberish import model_provenance, model_weights
from ct_pipeline.addresses.operator_lists import OperatorLists
from ct_pipeline.addresses.role import date_of_role_words, role_words
from ct_pipeline.domains.disposable import LIST_PACKAGE, date_of_hosts, listed_domains, listed_hosts
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.stages.finding import Finding, State

OLD_AFTER = timedelta(days=365)
_UPGRADE = "Upgrade ct_pipeline: its lists come with it."
_REVIEW = "Read it through: entries do not expire by themselves."


class ListProvenance(NamedTuple):
    """``dated``: of this package's lists, the month of the newest entry; of another package's, the day it was
    installed, than which the list is older; of the operator's, the day the file was written.
    """

    name: str
    version: str
    source: str
    dated: date
    entry_count: int
    mend: str  # when it is old


def list_provenances(settings: Settings, lists: OperatorLists) -> list[ListProvenance]:
    """The lists in force. ``lists`` are the operator's, as their files hold them."""
    return [*_lists_of_packages(), *_lists_of_operator(settings, lists)]


def findings_of_lists(provenances: Iterable[ListProvenance], today: date) -> Iterator[Finding]:
    """One finding a list: a warning where it is older than a year."""
    for one in provenances:
        entries = "1 entry" if one.entry_count == 1 else f"{one.entry_count:,} entries"
        what = f"{entries}, {one.version} of {one.dated}"
        if today - one.dated <= OLD_AFTER:
            yield Finding(one.name, State.OK, what)
        else:
            days = (today - one.dated).days
            yield Finding(one.name, State.WARNING, f"{what}: {days:,} days old", one.mend)


def _lists_of_packages() -> Iterator[ListProvenance]:
    yield ListProvenance(
        "disposable domains",
        f"{LIST_PACKAGE} {version(LIST_PACKAGE)}",
        f"{LIST_PACKAGE} on PyPI",
        _day_of(Path(str(distribution(LIST_PACKAGE).locate_file("disposable_email_domains")))),
        len(listed_domains()),
        f"Upgrade the package {LIST_PACKAGE}.",
    )
    yield _own("disposable hosts", "disposable_hosts.toml", date_of_hosts(), len(listed_hosts()))
    providers = load_providers()
    yield _own("providers", "providers.toml", providers.date, len(providers.rows))
    yield _own("free domains", "providers.toml", providers.date, len(providers.free_domains()))
    yield _own("role words", "role_words.toml", date_of_role_words(), len(role_words()))
    source, made = model_provenance()
    yield _own("gibberish model", source, made, len(model_weights()))
    rules = canonical_rules()
    yield _own("canonical forms", "canonical_rules.toml", rules.date, len(rules.tag_providers) + len(rules.folded))


def _lists_of_operator(settings: Settings, lists: OperatorLists) -> Iterator[ListProvenance]:
    for name, path, entries in (
        ("allow list", settings.allow_list, lists.allow),
        ("block list", settings.block_list, lists.block),
    ):
        if path is not None:
            yield ListProvenance(name, path.name, str(path), _day_of(path), len(entries), _REVIEW)


def _own(name: str, source: str, month: str, entry_count: int) -> ListProvenance:
    package = f"ct_pipeline {version('ct-pipeline')}"
    return ListProvenance(name, package, source, date.fromisoformat(f"{month}-01"), entry_count, _UPGRADE)


def _day_of(path: Path) -> date:
    """The day the file, or the folder, was written; in UTC."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
