"""What a signal handler raises comes out of the loop, and what was at work is cleaned up."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from ct_pipeline.stages.swift_loop import SwiftLoop


class InterruptedByTestError(BaseException):
    """As Dagster's, it is no Exception."""


@pytest.fixture
def interrupting_signal() -> Iterator[int]:
    def interrupt(*_: object) -> None:
        raise InterruptedByTestError

    before = signal.signal(signal.SIGUSR1, interrupt)
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, before)


def test_an_interrupt_leaves_the_loop_and_further_work_can_be_done(interrupting_signal: int) -> None:
    cleaned_up = []

    async def work() -> None:
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), interrupting_signal)
        try:
            await asyncio.sleep(60)
        finally:
            cleaned_up.append("work")

    async def stop() -> str:
        return "stopped"

    with SwiftLoop() as loop:
        with pytest.raises(InterruptedByTestError):
            loop.run(work())
        assert loop.run(stop()) == "stopped"
    assert cleaned_up == ["work"]


def test_errors_and_results_come_out_as_they_are() -> None:
    async def fail() -> None:
        raise RuntimeError("of its own")

    async def succeed() -> int:
        return 7

    with SwiftLoop() as loop:
        with pytest.raises(RuntimeError, match="of its own"):
            loop.run(fail())
        assert loop.run(succeed()) == 7
