"""How many replies are read per second: by a new reader, as in a long run, and where no two replies say the same.

Run from the project's root: ``.venv/bin/python ct_pipeline_tests/benchmarks/reply_reading.py [REPLIES [CORPUS]]``. The
replies are the rules' own examples, each with another address and another session id every time, as hosts send them.
Where no two say the same, each also names somebody who has not been named before: no reading is there already. The
rows of a corpus (see reply_corpus.py) are read by a reader that knows the words but not the sentences, each row once.
"""

import platform
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

from ct_pipeline.verification.probe import Reply
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.reply_corpus import read_corpus
from ct_pipeline.verification.reply_rules import load_rules

ROUNDS_OF_A_CORPUS = 20
SYLLABLES = ["ba", "do", "ki", "lu", "me", "no", "ra", "si", "tu", "wen"]
Asked = tuple[Reply, str]  # a reply, and the provider of the host


def replies(count: int, *, with_names: bool) -> list[Asked]:
    """Replies that all differ from one another in text; with names, also in what is left when numbers are taken out."""
    chance = random.Random(1)
    examples = [(example, min(rule.providers, default="")) for rule in load_rules().rules for example in rule.examples]
    made: list[Asked] = []
    for number in range(count):
        example, provider = chance.choice(examples)
        text = example.text.replace("user@example.com", f"someone.{number}@shop{number % 997}.example")
        if with_names:
            text += f" ({name(number)} at mx{number % 7}.shop{number % 997}.example)"
        text += f" [{chance.getrandbits(64):x}-{number}]"
        made.append((Reply(example.stage, example.code, example.enhanced, text), provider))
    return made


def name(number: int) -> str:
    """Another one for each number."""
    return "".join(SYLLABLES[int(digit)] for digit in str(number))


def timed(what: str, batch: Sequence[Asked], read: Callable[[Reply, str], object]) -> None:
    started, processor_started = time.perf_counter(), time.process_time()
    for reply, provider in batch:
        read(reply, provider)
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - processor_started
    characters = sum(len(reply.text) for reply, _ in batch) / len(batch)
    print(
        f"{what}: {len(batch) / seconds:,.0f} replies/s, {len(batch) / processor_seconds:,.0f} per processor second "
        f"({characters:.0f} characters each)"
    )


def of_a_corpus(lines: Iterable[bytes]) -> None:
    """Each round by a reader of its own, that has read the words of all rows in other sentences."""
    rows, _ = read_corpus(lines)
    rows_to_ask = [(row.reply, row.provider) for row in rows]
    turned = [(reply._replace(text=f"xyz {reply.text}"), provider) for reply, provider in rows_to_ask]
    seconds = []
    for _ in range(ROUNDS_OF_A_CORPUS):
        reader = ReplyReader.load()
        for reply, provider in turned:
            reader.read(reply, provider)
        started = time.process_time()
        for reply, provider in rows_to_ask:
            reader.read(reply, provider)
        seconds.append(time.process_time() - started)
    seconds.sort()
    rates = [len(rows) / one for one in (seconds[0], seconds[len(seconds) // 2])]
    print(f"a corpus of {len(rows):,}: {rates[0]:,.0f} per processor second at best, {rates[1]:,.0f} in the median")


def main(count: int, corpus: str | None) -> None:
    started = time.process_time()
    rules = load_rules()
    rules_read = time.process_time()
    reader = ReplyReader(rules)
    print(
        f"Python {platform.python_version()}, {len(rules.rules)} rules: read in {1000 * (rules_read - started):.0f} ms "
        f"of processor time, a reader made of them in {1000 * (time.process_time() - rules_read):.0f} ms"
    )
    alike = replies(count, with_names=False)
    timed("first 500, nothing cached", alike[:500], reader.read)
    timed(f"{count:,} as in a long run", alike, reader.read)
    timed(f"{count:,} that never say the same", replies(count, with_names=True), ReplyReader(rules).read)
    if corpus:
        of_a_corpus(Path(corpus).read_bytes().splitlines())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000, sys.argv[2] if len(sys.argv) > 2 else None)
