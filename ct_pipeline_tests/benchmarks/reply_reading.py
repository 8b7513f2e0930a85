"""How many replies are read per second: with a fresh cache, and as in a long run.

Run from the project's root: ``.venv/bin/python ct_pipeline_tests/benchmarks/reply_reading.py [REPLIES]``. The replies
are the rules' own examples, each with another address and another session id every time, as hosts send them.
"""

import platform
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

from ct_pipeline.verification.probe import Reply
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.reply_rules import load_rules


def replies(count: int) -> list[Reply]:
    """Replies that all differ from one another in text."""
    chance = random.Random(1)
    examples = [example for rule in load_rules().rules for example in rule.examples]
    made = []
    for number in range(count):
        example = chance.choice(examples)
        text = example.text.replace("user@example.com", f"someone.{number}@shop{number % 997}.example")
        made.append(
            Reply(example.stage, example.code, example.enhanced, f"{text} [{chance.getrandbits(64):x}-{number}]")
        )
    return made


def main(count: int) -> None:
    asked = replies(count)
    print(f"Python {platform.python_version()}, {count:,} replies, no two alike")
    reader = ReplyReader.load()
    for name, batch in (("first 500, nothing cached", asked[:500]), ("all", asked)):
        started, processor_started = time.perf_counter(), time.process_time()
        for reply in batch:
            reader.read(reply)
        seconds, processor_seconds = time.perf_counter() - started, time.process_time() - processor_started
        print(
            f"{name}: {len(batch) / seconds:,.0f} replies/s, {len(batch) / processor_seconds:,.0f} per processor second"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
