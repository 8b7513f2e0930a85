"""Rules written on one part of a corpus, scored on the other: what unseen replies will give. Pure.

The rules were written with the whole corpus in view, so its own score flatters them. For each fold, everything that
only the fold can have taught us is taken out of the rules before the fold is scored:

* Folds are drawn by seed. Replies whose gists begin with the same words are kept together.
* A text alternative (word or pattern) that is found in the gist of some reply of the fold stays only if it is found in
  the gist of a reply outside the fold too, or of an example in the rules that is no reply of the fold itself.
* A rule that loses its last alternative is gone. Rules without text rest on the codes of standards and stay.

The gists' kept names and codes stay as they are, and so does the order of the rules.
"""

import random
from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from typing import NamedTuple

from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.reply_corpus import CorpusRow
from ct_pipeline.verification.reply_gist import GistMaker
from ct_pipeline.verification.reply_rules import ReplyRule, ReplyRules
from ct_pipeline.verification.reply_score import ReplyScore, score_replies

SEED = 5
FOLDS = 5
HALVES = 2
_WORDS_THAT_MAKE_REPLIES_ALIKE = 5
_PLACEHOLDERS = frozenset({"#", "host", "<addr>", "addr"})


class CrossValidation(NamedTuple):
    """The scores of all folds, each read by rules that know nothing of it."""

    folds: list[ReplyScore]

    def mean(self, share: Callable[[ReplyScore], float]) -> float:
        """The mean over the folds, each weighed by its scored rows."""
        weights = [len(fold.scored_rows) for fold in self.folds]
        total = sum(weight * share(fold) for weight, fold in zip(weights, self.folds, strict=True))
        return total / max(1, sum(weights))


def cross_validation(
    rules: ReplyRules, rows: Sequence[CorpusRow], fold_count: int, seed: int = SEED
) -> CrossValidation:
    """Each fold scored under rules that know only the other folds, and their own examples from elsewhere."""
    gists = GistMaker(rules.kept_names, rules.kept_codes)
    gist_of = {row.row_id: gists.gist(row.reply.text) for row in rows}
    examples = {gists.gist(example.text) for rule in rules.rules for example in rule.examples}
    scores: list[ReplyScore] = []
    for fold in _folds(rows, gist_of, fold_count, seed):
        held_out = {gist_of[row.row_id] for row in fold}
        known = (examples | set(gist_of.values())) - held_out
        reader = ReplyReader(without_what_only_these_teach(rules, held_out, known))
        scores.append(score_replies(fold, reader.read))
    return CrossValidation(scores)


def without_what_only_these_teach(rules: ReplyRules, held_out: Set[str], known: Set[str]) -> ReplyRules:
    """The rules less every alternative that is found in gists of ``held_out`` and in none of ``known``."""

    def is_kept(is_found: Callable[[str], object]) -> bool:
        return not any(map(is_found, held_out)) or any(map(is_found, known))

    kept: list[ReplyRule] = []
    for rule in rules.rules:
        words = tuple(word for word in rule.words if is_kept(lambda gist, word=word: word in gist))
        patterns = tuple(pattern for pattern in rule.patterns if is_kept(pattern.is_in))
        if words or patterns or not (rule.words or rule.patterns):
            kept.append(replace(rule, words=words, patterns=patterns))
    return replace(rules, rules=tuple(kept))


def _folds(rows: Sequence[CorpusRow], gist_of: dict[str, str], fold_count: int, seed: int) -> list[list[CorpusRow]]:
    groups: dict[str, list[CorpusRow]] = {}
    for row in rows:
        words = [word for word in gist_of[row.row_id].split() if word not in _PLACEHOLDERS]
        groups.setdefault(" ".join(words[:_WORDS_THAT_MAKE_REPLIES_ALIKE]), []).append(row)
    names = sorted(groups)
    random.Random(seed).shuffle(names)  # noqa: S311 - folds must be the same every time
    folds: list[list[CorpusRow]] = [[] for _ in range(fold_count)]
    for name in names:
        min(folds, key=len).extend(groups[name])
    return [fold for fold in folds if fold]
