"""A connection to a fresh ledger, and short ways to write down what the tests put into it."""

from collections.abc import Iterator

import psycopg
import pytest

from ct_pipeline.storage.database import connect


@pytest.fixture
def conn(ledger_url: str) -> Iterator[psycopg.Connection]:
    with connect(ledger_url) as connection:
        yield connection
