"""How often Python looks for garbage while thousands of sessions are open."""

import contextlib
import gc
from collections.abc import Iterator

OBJECTS_BETWEEN_COLLECTIONS = 500_000  # some 100 MiB, were they all garbage; Python's own is 700


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    """Within the block, collections are rare, and leave alone what was there before.

    Sessions make many objects and no cycles, so that nearly all are freed without it. Looking for cycles as often as
    Python does by itself took a fifth of the processor's time in ``ct_pipeline_tests/benchmarks/lane.py`` (one-address
    domains), most of it for modules.
    """
    threshold = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *threshold[1:])
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        gc.unfreeze()
