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
alter table ledger.catch_all_facts add column doubted_at timestamptz;
comment on column ledger.catch_all_facts.doubted_at is
    'since when a made-up name is accepted although the domain has refused names before; null: it is not';
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

RULES = """
create table ledger.rules_versions (
    rules_version  text collate "C" primary key,
    parts          jsonb not null,
    in_force_at    timestamptz not null
);
comment on table ledger.rules_versions is 'what each version of the rules consists of';
comment on column ledger.rules_versions.in_force_at is 'when a judge last changed over to it';

create table ledger.rejudgements (
    rejudgement_id    bigint generated always as identity primary key,
    rules_version     text collate "C" not null,
    previous_version  text collate "C",
    began_at          timestamptz not null,
    ended_at          timestamptz,
    judged_count      bigint not null default 0
);
comment on table ledger.rejudgements is 'verdicts of other rules judged anew, from evidence that had not changed';
comment on column ledger.rejudgements.ended_at is 'null: under way, or stopped halfway';

create table ledger.rejudgement_changes (
    rejudgement_id      bigint not null,
    old_status          text not null,
    old_reason          text not null,
    old_safe_to_send    text not null,
    status              text not null,
    reason              text not null,
    safe_to_send        text not null,
    address_count       bigint not null,
    sample_address_ids  bigint[] not null,
    primary key (rejudgement_id, old_status, old_reason, old_safe_to_send, status, reason, safe_to_send)
);
comment on table ledger.rejudgement_changes is 'what came out differently; what is not here stayed as it was';
"""


def upgrade() -> None:
    op.execute(EVIDENCE)
    op.execute(VERDICTS)
    op.execute(RULES)
