"""The rules version: one name for everything beside the evidence that a verdict depends on.

Verdicts of another version are judged anew, from recorded evidence and without a packet. So whatever may change a
verdict is a part here: the rules of replies and of the judge, the tables and lists that come with this package or with
another, and the operator's settings and lists. Settings that only change whom we ask, and when, are none: they change
the evidence.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version as package_version
from importlib.resources import files
from typing import NamedTuple

from ct_pipeline.addresses.operator_lists import OperatorLists
from ct_pipeline.settings import Settings
from ct_pipeline.stages.operator_list_files import load_operator_lists
from ct_pipeline.verdicts.judge import JUDGE_VERSION
from ct_pipeline.verification.reply_rules import load_rules

# part: package, data file
_DATA_FILES = {
    "providers": ("ct_pipeline.domains", "providers.toml"),
    "score priors": ("ct_pipeline.verdicts", "score_priors.toml"),
    "role words": ("ct_pipeline.addresses", "role_words.toml"),
    "gibberish model": ("ct_pipeline.addresses", "gibberish_model.toml"),
    "canonical forms": ("ct_pipeline.addresses", "canonical_rules.toml"),
    "disposable mail hosts": ("ct_pipeline.domains", "disposable_hosts.toml"),
}
# part: package on PyPI
_LISTS_FROM_PACKAGES = {"disposable domains": "disposable-email-domains"}


class RulesInForce(NamedTuple):
    """``parts`` maps each part to its own version; ``version`` changes whenever one of them does."""

    version: str
    parts: Mapping[str, str]


def rules_in_force(settings: Settings, operator_lists: OperatorLists | None = None) -> RulesInForce:
    """Today's rules. The operator's lists are read from their files where they are not given.

    Raises:
        SettingsError: a list of the operator cannot be read.
    """
    lists = load_operator_lists(settings) if operator_lists is None else operator_lists
    parts = {
        **_parts_of_this_installation(),
        **_parts_of_settings(settings),
        "allow and block lists": lists.version,
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return RulesInForce(f"{JUDGE_VERSION}-{digest[:16]}", parts)


def rules_version(settings: Settings) -> str:
    """The version of today's rules: verdicts of another one wait to be judged again."""
    return rules_in_force(settings).version


def _parts_of_settings(settings: Settings) -> dict[str, str]:
    return {
        "CT_FRESH_FOR_DAYS": str(settings.fresh_for_days),
        "CT_GIBBERISH": settings.gibberish.value,
        "CT_ROLE_IS_SAFE": str(settings.role_is_safe).lower(),
        "CT_PROBE_FORBIDDEN": str(settings.probe_forbidden).lower(),
    }


@cache
def _parts_of_this_installation() -> dict[str, str]:
    digests = {
        part: hashlib.sha256(files(package).joinpath(name).read_bytes()).hexdigest()[:12]
        for part, (package, name) in _DATA_FILES.items()
    }
    lists = {part: package_version(package) for part, package in _LISTS_FROM_PACKAGES.items()}
    return {"judge": JUDGE_VERSION, "reply rules": load_rules().version, **digests, **lists}
