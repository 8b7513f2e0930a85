"""Broken pipelining is remembered with its time, so that it can be forgotten."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PIPELINING = """
alter table ledger.site_memories add column pipelining_broken_at timestamptz;
update ledger.site_memories set pipelining_broken_at = updated_at where is_pipelining_broken;
alter table ledger.site_memories drop column is_pipelining_broken;
comment on column ledger.site_memories.pipelining_broken_at is
    'when its hosts offered pipelining and ignored commands after the first; tried again a month later';
"""


def upgrade() -> None:
    op.execute(PIPELINING)
