"""Identifiers drawn ahead: enough for the time that the database may be away, from the real sequences."""

import asyncio

import pytest

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.settings import Settings
from ct_pipeline.stages.id_reserve import RESERVES, IdReserve
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.probes import ID_BLOCK, next_ids
from ct_pipeline.verification.notebook import Kind


def test_a_reserve_lasts_tells_when_it_runs_low_and_is_filled_up(settings_for_tests: Settings) -> None:
    async def draw(kind: Kind, count: int) -> list[int]:
        with open_ledger(settings_for_tests) as conn:
            return next_ids(conn, kind, count)

    reserve = IdReserve(draw)
    assert not reserve.has_plenty
    asyncio.run(reserve.fill())
    given: list[int] = []
    while reserve.has_plenty:
        given += reserve.take("probe")
    assert len(given) == 0.9 * RESERVES["probe"]
    asyncio.run(reserve.fill())
    assert reserve.has_plenty
    given += [number for _ in range(RESERVES["probe"] // ID_BLOCK) for number in reserve.take("probe")]
    with pytest.raises(LedgerUnavailableError, match="No identifier is left for a probe"):
        reserve.take("probe")
    assert len(given) == len(set(given)) == 1.9 * RESERVES["probe"]
    assert reserve.take("session")[0] == 1
