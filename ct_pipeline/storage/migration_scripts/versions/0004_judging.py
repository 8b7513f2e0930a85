"""What judging needs and leaves behind: the last definitive reply, the further columns of a verdict, and its rules."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

EVIDENCE = """
alter table ledger.due add column definitive_probe_id bigint;
comment on column ledger.due.definitive_probe_id is
    'the last reply that settled whether the mailbox exists; probe_id may be a later one that left it open';
"""

VERDICTS = """
alter table ledger.verdicts
    add column is_gibberish boolean not null default false,
    add column canonical_email text collate "C",
    add column score smallint,
    add column score_basis text not null default '',
    add column clearout_code smallint,
    add column is_catch_all_domain boolean,
    add column elapsed_ms integer;
"""


def upgrade() -> None:
    op.execute(EVIDENCE)
    op.execute(VERDICTS)
