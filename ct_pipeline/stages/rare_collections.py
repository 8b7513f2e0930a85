"""How often Python looks for garbage while thousands of sessions are open."""

import contextlib
import gc
from collections.abc import Iterator

OBJECTS_BETWEEN_COLLECTIONS = 50_000  # some 20 MiB; Python's own is 700


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    """Within the block, collections are rare, and leave alone what was there before.

    Sessions make many objects and few cycles. Looking for those as often as Python does by itself took a fifth of the
    processor's time in ``ct_pipeline_tests/benchmarks/lane.py`` (one-address domains), most of it for modules.
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
