"""How a text of rows is read: what it may leave out, and what is refused with which words."""

import re

import pytest

from ct_pipeline.domains.provider import CLAIMS
from ct_pipeline.domains.provider_source import Source
from ct_pipeline.domains.provider_table import as_markdown
from ct_pipeline.domains.providers import Accepts, Probing, RandomProbe, Refuses, read_providers

SHORT = """
[[provider]]
name = "one"
title = "One"
mx_suffixes = [".one.example"]
[provider.source]
mx = "one.example/help (2026-03)"
none = "2026-11"
"""
FULL = """
[[provider]]
name = "one"
title = "One"
mx_suffixes = [".one.example"]
mx_hosts = ["mx.other.example"]
free_domains = ["one.example"]
has_lane = true
connections = 2
session_addresses = 10
window = 1
connections_per_minute = 30
addresses_per_second = 0.5
random_probe = "own_session"
probing = "discouraged"
accepts = "in_doubt"
refuses = "in_doubt"
[provider.source]
mx = "a (2026-03)"
limits = "b (2026-03)"
pipelining = "a (2026-03)"
random_probe = "c (2026-03)"
probing = "c (2026-03)"
accepts = "d (and e) (2026-03)"
refuses = "d (2026-04)"
none = "2026-11"
"""
FREE = """
[[free]]
domains = ["free.example"]
source = "none (2025-12)"
"""


def test_what_a_row_leaves_out_is_as_at_a_host_that_nobody_knows() -> None:
    (row,) = read_providers(SHORT).rows
    assert (row.random_probe, row.probing) == (RandomProbe.SAME_SESSION, Probing.ALLOWED)
    assert (row.accepts, row.refuses, row.hides_answer) == (Accepts.BELIEVED, Refuses.BELIEVED, False)
    assert (row.connections, row.session_addresses, row.window, row.has_lane) == (None, None, None, False)


def test_every_claim_has_its_source_and_month() -> None:
    (row,) = read_providers(FULL).rows
    assert tuple(row.source) == CLAIMS
    assert row.source["accepts"] == Source("d (and e)", "2026-03")
    assert str(row.source["refuses"]) == "d (2026-04)"
    assert row.source["free"] == Source("none", "2026-11")
    assert [claim for claim, source in row.source.items() if source.is_none] == ["free"]


def test_the_longest_suffix_decides() -> None:
    inner = SHORT.replace('"one"', '"two"').replace(".one.example", ".inner.one.example")
    providers = read_providers(SHORT + inner)
    outer, nested = providers.of_host("mx.one.example"), providers.of_host("mx.inner.one.example")
    assert outer is not None
    assert nested is not None
    assert (outer.name, nested.name) == ("one", "two")


def test_how_old_the_lists_are() -> None:
    providers = read_providers(SHORT.replace("2026-11", "2026-05") + FREE)
    assert providers.list_month == "2026-05"
    assert "1 providers, 1 free domains" in providers.provenance
    assert providers.version in providers.provenance
    assert providers.version != read_providers(SHORT + FREE).version
    assert read_providers("").list_month == ""


def test_rows_in_the_documentation() -> None:
    first, *_, last = as_markdown(read_providers(FULL + FREE)).splitlines()
    assert first.startswith("| provider |")
    assert last == "| `free.example` | none (2025-12) |"
    line = as_markdown(read_providers(FULL)).splitlines()[2]
    assert line == (
        "| `one` One, own lane | `*.one.example`, `mx.other.example` | 2 connections, 10 addresses a session, "
        "30 connections a minute, 0.5 addresses a second, 1 at once | own session | discouraged | in doubt | in doubt "
        "| **mx, pipelining**: a (2026-03); **limits**: b (2026-03); **random_probe, probing**: c (2026-03); "
        "**accepts**: d (and e) (2026-03); **refuses**: d (2026-04); **others**: none (2026-11) |"
    )
    assert " | default | same session | allowed | believed | believed | " in as_markdown(read_providers(SHORT))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (SHORT + SHORT, "provider listed twice: one"),
        (SHORT + SHORT.replace('"one"', '"two"'), "mail host listed twice: .one.example"),
        (FULL + FREE.replace("free.example", "one.example"), "free domain listed twice: one.example"),
        (SHORT.replace('"one"', '"One"'), "provider 'One': a name is lower-case letters"),
        (SHORT.replace('"one"', '"one.example"'), "lower-case"),
        (SHORT.replace('"one"', '"small"'), "not a lane's"),
        (SHORT.replace('".one.example"', '"one.example"'), "a suffix starts with a dot, unlike 'one.example'"),
        (SHORT.replace('".one.example"', '".One.example"'), "'One.example' is no host name in lower case"),
        (SHORT.replace('mx_suffixes = [".one.example"]', ""), "provider 'one': it has no mail hosts"),
        (SHORT.replace('title = "One"', ""), "provider 'one' lacks 'title'"),
        (SHORT.replace("[provider.source]", "conection = 1\n[provider.source]"), "unknown keys: conection"),
        (FULL.replace("connections = 2", "connections = 0"), "connections is 0; a limit is above 0"),
        (FULL.replace('"own_session"', '"sometimes"'), "provider 'one': 'sometimes' is not a valid RandomProbe"),
        (FULL.replace('accepts = "in_doubt"', 'accepts = "hidden"'), '"hidden" needs random_probe = "never"'),
        (FULL.replace('"own_session"', '"never"'), 'accepts = "in_doubt" needs a random probe'),
        (SHORT.replace('none = "2026-11"', ""), "no source of: limits, pipelining, random_probe"),
        (SHORT.replace('none = "2026-11"', 'none = "today"'), "source of limits: 'none (today)' does not end in"),
        (SHORT.replace(" (2026-03)", ""), "provider 'one': source of mx: 'one.example/help' does not end in its month"),
        (SHORT.replace("2026-03", "2026-13"), "source of mx: 'one.example/help (2026-13)' does not end in its month"),
        (SHORT.replace("mx = ", "mix = "), "these are no claims: mix; claims are mx, limits"),
        (FULL.replace('limits = "b (2026-03)"', ""), "departs from the default without a source in: limits"),
        (FULL.replace('accepts = "d (and e) (2026-03)"', ""), "without a source in: accepts"),
        (FULL.replace('pipelining = "a (2026-03)"', ""), "without a source in: pipelining"),
        (
            FREE.replace('source = "none (2025-12)"', ""),
            "that begins with free.example: None does not end in its month",
        ),
        (FREE + "date = 1", "that begins with free.example: unknown keys: date"),
        (FREE.replace("free.example", "Free.example"), "'Free.example' is no host name"),
        (FREE.replace("[[free]]", "[[fre]]"), "unknown tables: fre; there are [[provider]] and [[free]]"),
    ],
)
def test_a_text_that_is_not_sourced_or_contradicts_itself_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        read_providers(text)
