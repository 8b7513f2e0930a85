"""The ledger's first tables: pulls, addresses, domains, what is due, observations, verdicts.

Keys that are text sort by bytes (collate "C"): faster, and an upgrade of the system's collations cannot spoil an
index. The big tables have no foreign keys: their rows come only from set-based merges that take ids from the
parents, and a check per row would cost more than the merge itself.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
create table ledger.audiences (
    audience_id  integer generated always as identity primary key,
    name         text not null unique,
    created_at   timestamptz not null
);

create table ledger.pulls (
    pull_id          bigint generated always as identity primary key,
    audience_id      integer not null references ledger.audiences,
    kind             text not null,
    source_name      text not null,
    sha256           text not null,
    lake_path        text not null,
    row_count        bigint not null,
    set_aside_count  bigint not null,
    email_column     text not null,
    columns          jsonb not null,
    pulled_at        timestamptz not null,
    taken_up_at      timestamptz,
    unique (audience_id, sha256)
);
create index pulls_source_name on ledger.pulls (source_name, pulled_at);
create index pulls_not_taken_up on ledger.pulls (pull_id) where taken_up_at is null;

create table ledger.domains (
    domain_id         integer generated always as identity primary key,
    domain            text collate "C" not null unique,
    service           text,
    mx_hosts          jsonb not null default '[]',
    mx_record         text,
    provider          text not null default '',
    site              text not null default '',
    lane              text not null default '',
    is_disposable     boolean not null default false,
    is_free           boolean not null default false,
    looked_up_at      timestamptz,
    expires_at        timestamptz,
    service_since_at  timestamptz,
    detail            text not null default ''
);
comment on column ledger.domains.service is 'null: never looked up';
comment on column ledger.domains.service_since_at is 'first of the unbroken row of look-ups that found this service';
create index domains_lane on ledger.domains (lane, domain_id);

create table ledger.addresses (
    address_id       bigint generated always as identity primary key,
    address          text collate "C" not null unique,
    domain_id        integer,
    syntax_reason    text,
    is_role          boolean not null,
    suggested_email  text
);
comment on column ledger.addresses.domain_id is 'null: the string is not an address (syntax_reason says why)';
create index addresses_domain_id on ledger.addresses (domain_id);

create table ledger.holders (
    pull_id     bigint not null,
    row_number  bigint not null,
    address_id  bigint not null,
    raw_email   text,
    primary key (pull_id, row_number)
);
comment on column ledger.holders.raw_email is 'the spelling of the source; null where it is the address itself';
create index holders_address_id on ledger.holders (address_id);

create table ledger.due (
    address_id       bigint primary key,
    domain_id        integer not null,
    attempt_count    integer not null default 0,
    next_attempt_at  timestamptz,
    answered_at      timestamptz,
    probe_id         bigint
);
comment on table ledger.due is 'when an address is asked next; one row per usable address';
comment on column ledger.due.next_attempt_at is 'null: answered';
create index due_domain_id on ledger.due (domain_id, next_attempt_at) where next_attempt_at is not null;

create table ledger.sessions (
    session_id     bigint primary key,
    lane           text not null,
    site           text not null,
    mx_host        text not null,
    mx_address     text not null,
    helo_name      text not null,
    mail_from      text not null,
    started_at     timestamptz not null,
    ended_at       timestamptz not null,
    command_count  integer not null,
    rcpt_count     integer not null,
    is_tls         boolean not null,
    outcome        text not null
);

create table ledger.probes (
    probe_id    bigint primary key,
    session_id  bigint not null,
    kind        text not null,
    address_id  bigint,
    domain_id   integer not null,
    stage       text not null,
    code        smallint not null,
    enhanced    text,
    text        text not null,
    reason      text not null,
    rule        text not null,
    asked_at    timestamptz not null,
    elapsed_ms  integer not null
);
comment on table ledger.probes is 'every question and its reply as it came; reason and rule are how it was read then';

create table ledger.catch_all_facts (
    domain_id     integer primary key,
    is_catch_all  boolean not null,
    tells_apart   boolean,
    probe_id      bigint,
    found_at      timestamptz not null,
    expires_at    timestamptz not null
);

create table ledger.verdicts (
    address_id       bigint primary key,
    status           text not null,
    reason           text not null,
    safe_to_send     text not null,
    bounce_type      text not null,
    verdict_text     text not null,
    is_disposable    boolean not null,
    is_free          boolean not null,
    is_role          boolean not null,
    suggested_email  text,
    provider         text not null,
    mx_record        text,
    smtp_code        smallint,
    smtp_enhanced    text,
    smtp_text        text,
    attempt_count    integer not null,
    verified_at      timestamptz,
    next_check_at    timestamptz,
    rule             text not null,
    rules_version    text collate "C" not null,
    judged_at        timestamptz not null
);
create index verdicts_rules_version on ledger.verdicts (rules_version);

create sequence ledger.evidence_revision;
create table ledger.unjudged (
    address_id  bigint primary key,
    since_at    timestamptz not null,
    revision    bigint not null default nextval('ledger.evidence_revision')
);
comment on table ledger.unjudged is 'addresses with evidence that no verdict rests on yet';
comment on column ledger.unjudged.revision is 'changes whenever evidence arrives: a verdict clears only what it saw';

create sequence ledger.session_ids increment 1000;
create sequence ledger.probe_ids increment 1000;
"""


def upgrade() -> None:
    op.execute(TABLES)
