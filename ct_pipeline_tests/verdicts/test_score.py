"""The score: figures with an origin, in the order that common sense asks for, replaced by what is measured."""

import itertools
import re
from datetime import UTC, datetime

import pytest

from ct_pipeline.domains.providers import load_providers
from ct_pipeline.verdicts.judge import judge
from ct_pipeline.verdicts.judging_rules import JudgingRules
from ct_pipeline.verdicts.score import ScoreGroup, priors, read_priors, score_of
from ct_pipeline.vocabulary import About, MailService, Reason, Status

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
RULES = JudgingRules("1")
FLAGS = ("is_disposable", "is_role", "is_gibberish")
IMPOSSIBLE = {Reason.ALLOW_LISTED, Reason.BLOCK_LISTED}


def verdict_on(evidence, rules=RULES):
    return judge(evidence, rules, NOW)


def scores(answered, **changes):
    """By status: the scores of every reply that the judge may be shown."""
    found = {status: set() for status in Status}
    for reason, about, code, catch_all, apart in itertools.product(
        set(Reason) - IMPOSSIBLE, About, (250, 450, 550), (True, False), (True, False)
    ):
        verdict = verdict_on(answered(code, reason, about, is_catch_all=catch_all, tells_apart=apart, **changes))
        found[verdict.status].add(verdict.score)
    return found


@pytest.mark.parametrize("provider", ["hoster.example", "yahoo", "microsoft365"])
def test_valid_beats_catch_all_beats_unknown_beats_invalid(answered, provider):
    found = scores(answered, provider=provider)
    assert min(found[Status.VALID]) > max(found[Status.CATCH_ALL])
    assert min(found[Status.CATCH_ALL]) > max(found[Status.UNKNOWN])
    assert min(found[Status.UNKNOWN]) > max(found[Status.INVALID])
    assert all(0 <= score <= 100 for of_status in found.values() for score in of_status)


def test_a_domain_that_takes_no_mail_scores_nothing(evidence):
    assert verdict_on(evidence(mail_service=MailService.DOMAIN_NOT_FOUND)).score == 0
    assert verdict_on(evidence(syntax_reason=Reason.SYNTAX_ERROR)).score == 0


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("code", [250, 450])
def test_a_flag_lowers_the_score_and_says_so(answered, flag, code):
    reason = Reason.ACCEPTED if code == 250 else Reason.GREYLISTED
    about = About.ADDRESS if code == 250 else About.TEMPORARY
    plain, flagged = (verdict_on(answered(code, reason, about, **{flag: is_set})) for is_set in (False, True))
    assert flagged.score < plain.score
    assert flag.removeprefix("is_") in flagged.score_basis


def test_an_answer_less_believed_scores_less(answered):
    accepted = (250, Reason.ACCEPTED)
    assert verdict_on(answered(*accepted, provider="yahoo")).score < verdict_on(answered(*accepted)).score
    untold = answered(*accepted, is_free=True, is_catch_all=None)
    assert verdict_on(untold).score < verdict_on(answered(*accepted, is_free=True)).score
    hidden = verdict_on(answered(250, Reason.PROVIDER_HIDES_ANSWER, About.UNCLEAR))
    assert hidden.score < verdict_on(answered(*accepted)).score


def test_asked_in_vain_scores_less(answered):
    greylisted = (450, Reason.GREYLISTED, About.TEMPORARY)
    once = verdict_on(answered(*greylisted, next_attempt_at=NOW))
    in_vain = verdict_on(answered(*greylisted, attempt_count=5))
    assert in_vain.score < once.score


class Measured:
    """What an account's own mail taught: nine in ten of its catch-alls at one host arrive."""

    version = "2026-11"
    providers = frozenset({"hoster.example"})

    def percent(self, group: ScoreGroup) -> float | None:
        is_known = (group.status, group.provider) == (Status.CATCH_ALL, "hoster.example")
        return 90.4 if is_known else None


def test_what_was_measured_replaces_the_table(answered):
    catch_all = answered(250, Reason.ACCEPTED, is_catch_all=True)
    assert score_of(catch_all, Status.CATCH_ALL, Reason.CATCH_ALL, Measured()) == (90, "measured")
    elsewhere = catch_all._replace(provider="other.example")
    from_table = score_of(elsewhere, Status.CATCH_ALL, Reason.CATCH_ALL)
    assert score_of(elsewhere, Status.CATCH_ALL, Reason.CATCH_ALL, Measured()) == from_table
    assert verdict_on(catch_all, JudgingRules("1", calibration=Measured())).score == 90


# -- the table ---


def test_every_figure_names_where_it_comes_from():
    table = priors()
    rows = [*table.by_status.values(), *table.by_reason.values(), *table.by_provider.values(), *table.factors.values()]
    assert all(re.match(r"estimate: .{10}|the operator's|RFC \d|\w+(\.\w+)+[,/]", row.origin) for row in rows)


def test_its_providers_are_those_of_the_provider_table():
    assert priors().providers <= {row.name for row in load_providers().rows}


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ('[[prior]]\nstatus = "valid"\npercent = 97', "lacks its origin"),
        ('[[prior]]\nstatus = "valid"\npercent = 101\norigin = "x"', "0 to 100"),
        ('[[factor]]\nname = "role"\nfactor = 1.2\norigin = "x"', "0 to 1"),
        ('[[prior]]\nstatus = "valid"\npercent = 9\norigin = "x"\n' * 2, "said twice"),
        ('[[prior]]\nstatus = "valid"\npercent = 9\norigin = "x"', "no row for"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(row, fault):
    with pytest.raises(ValueError, match=fault):
        read_priors(row)
