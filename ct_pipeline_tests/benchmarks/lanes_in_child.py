"""Whole lanes in a process of their own, so that its memory and its processor time are theirs alone."""

import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import load_settings
from ct_pipeline.stages.domains import look_up_domains
from ct_pipeline.stages.verify import verify_lanes


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """What one process took for the look-ups, and then for the lanes."""

    look_up_seconds: float
    look_up_cpu_seconds: float
    seconds: float
    cpu_seconds: float
    stopped_because: list[str]  # of all lanes
    mib_before: float  # with everything imported, and nothing done
    look_up_peak_mib: float
    peak_mib: float


def run_lanes(setting_values: dict[str, Any]) -> LaneFigures:
    """Look up the domains and verify every lane, under these settings.

    Raises:
        RuntimeError: the process ended without a result; what it printed says why.
    """
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_run, args=(setting_values, theirs))
    child.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise RuntimeError("the verifying process ended without a result") from None
    finally:
        child.join()


def _run(setting_values: dict[str, Any], pipe: Connection) -> None:
    settings = load_settings(**setting_values)
    lanes = lane_keys(load_providers())
    mib_before = _resident_mib("VmRSS")
    started, cpu_started = time.perf_counter(), time.process_time()
    look_up_domains(settings)
    looked_up, cpu_looked_up = time.perf_counter(), time.process_time()
    look_up_peak_mib = _resident_mib("VmHWM")
    summaries = verify_lanes(settings, lanes)
    pipe.send(
        LaneFigures(
            look_up_seconds=looked_up - started,
            look_up_cpu_seconds=cpu_looked_up - cpu_started,
            seconds=time.perf_counter() - looked_up,
            cpu_seconds=time.process_time() - cpu_looked_up,
            stopped_because=[reason for summary in summaries for reason in summary.stopped_because],
            mib_before=mib_before,
            look_up_peak_mib=look_up_peak_mib,
            peak_mib=_resident_mib("VmHWM"),
        )
    )


def _resident_mib(what: str) -> float:
    # Not ru_maxrss: across exec the kernel carries over the peak of the process that started this one.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"the kernel does not tell {what}")
