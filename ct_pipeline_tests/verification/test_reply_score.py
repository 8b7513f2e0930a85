"""What counts as dangerous, as agreeing, as unclear; and scores without what only a fold teaches."""

from pathlib import Path

import pytest

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.reply_ablation import cross_validation, without_what_only_these_teach
from ct_pipeline.verification.reply_corpus import CorpusRow, Label, Side
from ct_pipeline.verification.reply_rules import load_rules, parse_rules
from ct_pipeline.verification.reply_score import ANSWERS, ReplyScore, ScoredRow, score_replies
from ct_pipeline.vocabulary import About, Reason

UNKNOWN = Reading(Reason.MAILBOX_NOT_FOUND, About.ADDRESS, "rule")
BLOCKED = Reading(Reason.PROBER_BLOCKED, About.US, "rule")
UNCLEAR = Reading(Reason.UNCLEAR_REPLY, About.UNCLEAR, "rule")


def row(label: Label, side: Side, *, code: int = 550, stage: Stage = Stage.RCPT, confidence: str = "gold") -> CorpusRow:
    return CorpusRow("one", Reply(stage, code, None, "text"), "", label, side, confidence, "text")


def scored(one: CorpusRow, reading: Reading) -> ScoredRow:
    return score_replies([one], lambda reply, provider: reading).sure_rows[0]


def total(*pairs: tuple[CorpusRow, Reading]) -> ReplyScore:
    readings = iter([reading for _, reading in pairs])
    return score_replies([one for one, _ in pairs], lambda reply, provider: next(readings))


def test_every_reason_that_a_rule_gives_answers_to_a_label() -> None:
    reasons = {rule.reason for rule in load_rules().rules} - {Reason.UNCLEAR_REPLY, Reason.EGRESS_TROUBLE}
    assert reasons <= set(ANSWERS)


def test_the_page_has_the_table_of_answers() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "replies.md").read_text()
    for reason, labels in ANSWERS.items():
        assert f"| `{reason.value}` | {', '.join(f'`{label.value}`' for label in labels)} |" in page


@pytest.mark.parametrize("side", [Side.US, Side.SERVER, Side.MESSAGE])
def test_dangerous_is_a_dead_address_where_nobody_spoke_of_one(side: Side) -> None:
    for label in (Label.SENDER_BLOCKED, Label.OTHER):
        assert scored(row(label, side), UNKNOWN).is_dangerous
        assert not scored(row(label, side), BLOCKED).is_dangerous
        assert not scored(row(label, side), UNCLEAR).is_dangerous
    domain = Reading(Reason.DOMAIN_NOT_HOSTED, About.DOMAIN, "rule")
    assert scored(row(Label.POLICY, side), domain).is_dangerous


@pytest.mark.parametrize(
    "reason", [Reason.MAILBOX_DISABLED, Reason.MAILBOX_MOVED, Reason.SYNTAX_ERROR, Reason.MAILBOX_NOT_FOUND]
)
def test_whatever_lets_the_judge_say_invalid_with_a_hard_bounce_is_dead(reason: Reason) -> None:
    assert scored(row(Label.POLICY, Side.US), Reading(reason, About.ADDRESS, "rule")).is_dangerous


@pytest.mark.parametrize("reason", [Reason.MAILBOX_FULL, Reason.RECIPIENT_RATE_LIMITED, Reason.ACCEPTED])
def test_a_mailbox_that_exists_is_not_dead(reason: Reason) -> None:
    assert not scored(row(Label.RATE_LIMITED, Side.US), Reading(reason, About.ADDRESS, "rule")).is_dangerous


def test_agreement_is_about_the_address_and_label_agreement_about_the_word() -> None:
    policy = Reading(Reason.POLICY_REFUSED, About.US, "rule")
    one = scored(row(Label.SENDER_BLOCKED, Side.US), policy)
    assert (one.agrees, one.names_the_label, one.answer) == (True, False, Label.POLICY)
    assert scored(row(Label.CONTENT, Side.MESSAGE), policy).names_the_label
    disabled = Reading(Reason.MAILBOX_DISABLED, About.ADDRESS, "rule")
    assert scored(row(Label.USER_UNKNOWN, Side.ADDRESS), disabled).agrees
    assert not scored(row(Label.USER_UNKNOWN, Side.ADDRESS), policy).agrees


def test_what_may_not_be_read_as_dead_is_right_when_it_is_not() -> None:
    later = Reading(Reason.UNCLEAR_REPLY, About.TEMPORARY, "rule")
    assert scored(row(Label.USER_UNKNOWN, Side.ADDRESS, code=450), later).agrees
    assert scored(row(Label.USER_UNKNOWN, Side.ADDRESS, stage=Stage.MAIL), BLOCKED).agrees
    assert not scored(row(Label.USER_UNKNOWN, Side.ADDRESS, code=450), UNCLEAR).agrees


def test_whose_syntax() -> None:
    wrong = Reading(Reason.SYNTAX_ERROR, About.ADDRESS, "rule")
    assert scored(row(Label.SYNTAX, Side.ADDRESS), wrong).agrees
    assert scored(row(Label.SYNTAX, Side.US), wrong).is_dangerous
    command = Reading(Reason.UNCLEAR_REPLY, About.US, "rule")
    assert scored(row(Label.SYNTAX, Side.US), command).names_the_label


def test_rates_leave_out_bronze_and_other() -> None:
    score = total(
        (row(Label.USER_UNKNOWN, Side.ADDRESS), UNKNOWN),
        (row(Label.USER_UNKNOWN, Side.ADDRESS, confidence="silver"), UNCLEAR),
        (row(Label.SENDER_BLOCKED, Side.US), UNKNOWN),
        (row(Label.SENDER_BLOCKED, Side.US), BLOCKED),
        (row(Label.SENDER_BLOCKED, Side.US, confidence="bronze"), UNKNOWN),
        (row(Label.OTHER, Side.US), UNKNOWN),
        (row(Label.OTHER, Side.EITHER), UNKNOWN),
    )
    assert (score.row_count, len(score.sure_rows), len(score.scored_rows)) == (7, 6, 4)
    assert len(score.dangerous_rows) == 2
    assert (score.agreement, score.unclear, score.label_agreement) == (0.5, 0.25, 0.5)
    unknown, blocked = score.labels()
    assert (unknown.label, unknown.row_count, unknown.precision, unknown.recall) == (Label.USER_UNKNOWN, 2, 0.5, 0.5)
    assert (blocked.label, blocked.precision, blocked.recall, blocked.agreement) == (Label.SENDER_BLOCKED, 1, 0.5, 0.5)
    assert score.confusion == {
        (Label.USER_UNKNOWN, Label.USER_UNKNOWN): 1,
        (Label.USER_UNKNOWN, None): 1,
        (Label.SENDER_BLOCKED, Label.USER_UNKNOWN): 1,
        (Label.SENDER_BLOCKED, Label.SENDER_BLOCKED): 1,
    }


def test_no_rows_are_no_error() -> None:
    assert total().agreement == 0.0


RULES = parse_rules(b"""
[gist]
names = []
codes = []
[[rule]]
name = "gone"
text = ["left us", "(?:is|was) away", "flew"]
reason = "mailbox_not_found"
about = "address"
source = "none"
examples = [{ stage = "rcpt", code = 550, text = "he flew" }]
[[rule]]
name = "nothing_known"
reason = "unclear_reply"
about = "unclear"
source = "none"
examples = [{ stage = "rcpt", code = 550, text = "" }]
""")


def texts(rules: object) -> list[str]:
    gone = [rule for rule in getattr(rules, "rules", ()) if rule.name == "gone"]
    return [*gone[0].words, *(pattern.regex.pattern for pattern in gone[0].patterns)] if gone else []


def test_what_only_the_fold_teaches_is_taken_out() -> None:
    assert texts(without_what_only_these_teach(RULES, {"left us"}, {"was away"})) == ["flew", "(?:is|was) away"]
    assert texts(without_what_only_these_teach(RULES, {"left us"}, {"left us, too"})) == texts(RULES)
    assert texts(without_what_only_these_teach(RULES, {"left us, was away, flew"}, set())) == []
    assert [rule.name for rule in without_what_only_these_teach(RULES, {"left us, flew, is away"}, set()).rules] == [
        "nothing_known"
    ]


def test_a_fold_is_read_without_what_it_teaches_itself() -> None:
    said = ["left us", "was away", "is away now", "he flew", "he flew"]
    rows = [
        CorpusRow(f"{number}", Reply(Stage.RCPT, 550, None, text), "", Label.USER_UNKNOWN, Side.ADDRESS, "gold", text)
        for number, text in enumerate(said)
    ]
    assert score_replies(rows, ReplyReader(RULES).read).agreement == 1.0
    found = cross_validation(RULES, rows, len(rows))
    wrong = sorted(one.row.reply.text for fold in found.folds for one in fold.wrong_rows)
    # "left us" stands alone; "he flew" is twice in one fold, and in an example that is no other reply
    assert wrong == ["he flew", "he flew", "left us"]
    assert found.mean(lambda score: score.agreement) == pytest.approx(0.4)
    assert cross_validation(RULES, rows, 3).folds == cross_validation(RULES, rows, 3).folds
