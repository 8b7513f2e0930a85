"""CleverTap at both ends: profiles and their subscription evidence, plans, batches, changes and receipts.

Everything here is keyed by CleverTap project; addresses, domains, probes and verdicts stay shared.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
alter table ledger.pulls add column project text not null default '';
comment on column ledger.pulls.project is 'CleverTap project of the profiles; empty: a contact file';

alter table ledger.holders add column profile_id bigint;
create index holders_profile_id on ledger.holders (profile_id) where profile_id is not null;

-- The domains that a second look-up has to confirm; the condition is that of storage/domain_facts.py.
create index domains_second_look_up on ledger.domains (domain_id)
    where service in ('null_mx', 'no_mail_service', 'domain_not_found', 'unroutable')
          and looked_up_at - service_since_at < interval '24 hours';

create table ledger.open_pulls (
    open_pull_id        bigint generated always as identity primary key,
    project             text not null,
    audience            text not null,
    source_name         text not null,
    pull_key            text not null unique,
    queries             jsonb not null,
    query_number        integer not null default 0,
    cursor              text,
    page_count          integer not null default 0,
    record_count        bigint not null default 0,
    query_record_count  bigint not null default 0,
    set_aside_count     bigint not null default 0,
    expected_count      bigint,
    is_repeat           boolean not null default false,
    restart_count       integer not null default 0,
    notes               jsonb not null default '[]',
    started_at          timestamptz not null,
    updated_at          timestamptz not null,
    unique (project, audience, source_name)
);
comment on table ledger.open_pulls is 'pulls under way: where an interrupted one goes on';
comment on column ledger.open_pulls.cursor is 'of the next page; null: the query is still to be opened';
comment on column ledger.open_pulls.query_record_count is 'of the query under way, since it was opened last';
comment on column ledger.open_pulls.is_repeat is 'the query under way is read again: its first export looked too small';
comment on column ledger.open_pulls.expected_count is 'the largest number that CleverTap counts for a query';

create table ledger.profiles (
    profile_id               bigint generated always as identity primary key,
    project                  text not null,
    identifier_kind          text not null,
    identifier               text collate "C" not null,
    address_id               bigint,
    raw_email                text collate "C",
    unsubscribe_event_count  integer not null default 0,
    unsubscribe_event_at     timestamptz,
    properties               jsonb not null default '{}',
    properties_at            timestamptz,
    seen_at                  timestamptz not null,
    pull_id                  bigint not null,
    unique (project, identifier_kind, identifier)
) with (fillfactor = 80); -- a profile is read again and again, mostly without a change of an indexed column
comment on table ledger.profiles is 'each CleverTap profile as it was last read, under the identifier that writes use';
comment on column ledger.profiles.address_id is 'null: it has no email';
comment on column ledger.profiles.raw_email is 'the spelling that CleverTap holds';
comment on column ledger.profiles.unsubscribe_event_at is 'last_seen of Channel Unsubscribed in the profile''s summary';
comment on column ledger.profiles.properties is 'our properties, as CleverTap is believed to hold them';
comment on column ledger.profiles.properties_at is 'when that was read or written';
create index profiles_address_id on ledger.profiles (address_id);
create index profiles_raw_email on ledger.profiles (project, raw_email);

create table ledger.subscription_events (
    project          text not null,
    email            text collate "C" not null,
    happened_at      timestamptz not null,
    identifier_kind  text not null,
    identifier       text collate "C" not null,
    is_resubscribe   boolean not null,
    level            text not null default '',
    type             text not null default '',
    reason           text not null default '',
    pull_id          bigint,
    primary key (project, email, happened_at, identifier_kind, identifier, is_resubscribe)
);
comment on table ledger.subscription_events is 'Channel Unsubscribed events as they came, ours among them';
comment on column ledger.subscription_events.email is 'the address that the event names, lower case, trimmed';

create table ledger.plans (
    plan_id     bigint generated always as identity primary key,
    project     text not null,
    audience    text,
    planned_at  timestamptz not null,
    policy      jsonb not null,
    summary     jsonb not null
);
comment on column ledger.plans.audience is 'null: every profile of the project';

create table ledger.batches (
    batch_id          bigint generated always as identity primary key,
    plan_id           bigint references ledger.plans,
    project           text not null,
    kind              text not null,
    state             text not null,
    change_count      integer not null,
    held_because      text not null default '',
    held_provider     text not null default '',
    approved_by       text,
    approved_because  text,
    approved_at       timestamptz,
    undoes_batch_id   bigint references ledger.batches,
    planned_at        timestamptz not null,
    sending_at        timestamptz,
    done_at           timestamptz,
    read_back         text not null default '',
    is_stored         boolean,
    clock_difference  interval
);
create index batches_open on ledger.batches (project, kind, batch_id) where state <> 'done';
comment on column ledger.batches.held_provider is 'whose brake holds it; empty: none, or that of the share';
comment on column ledger.batches.read_back is 'what reading a sample back has shown, in words';
comment on column ledger.batches.clock_difference is 'CleverTap''s clock minus ours when it was sent; null: unknown';
comment on column ledger.batches.is_stored is 'of property batches: whether the whole sample was there; null: not read';

create table ledger.changes (
    change_id           bigint generated always as identity primary key,
    batch_id            bigint not null,
    project             text not null,
    kind                text not null,
    address_id          bigint,
    raw_email           text collate "C",
    profile_id          bigint,
    identifier_kind     text,
    identifier          text collate "C",
    properties          jsonb,
    prior_properties    jsonb,
    prior_subscription  text,
    prior_source        text,
    status              text not null default '',
    reason              text not null default '',
    rule                text not null default '',
    rules_version       text not null default '',
    provider            text not null default '',
    verified_at         timestamptz,
    intended_at         timestamptz,
    earlier_intended_at timestamptz[] not null default '{}',
    attempt_count       integer not null default 0
);
create index changes_batch_id on ledger.changes (batch_id, change_id);
create index changes_raw_email on ledger.changes (project, raw_email, change_id)
    where kind in ('unsubscribe', 'resubscribe');
create index changes_address_id on ledger.changes (address_id) where kind in ('unsubscribe', 'resubscribe');
create index changes_profile_id on ledger.changes (profile_id, change_id) where kind = 'set_properties';
comment on column ledger.changes.raw_email is 'of subscription changes: the spelling that CleverTap holds';
comment on column ledger.changes.profile_id is 'of property changes';
comment on column ledger.changes.status is 'of the verdict it rests on, as are reason to verified_at';
comment on column ledger.changes.intended_at is 'set before the change is sent, and again when it is sent again';
comment on column ledger.changes.earlier_intended_at is 'sendings without an answer: they may have raised events too';

create table ledger.provider_rates (
    project               text not null,
    provider              text collate "C" not null,
    judged_count          bigint,
    invalid_count         bigint,
    rate_at               timestamptz not null,
    braked_judged_count   bigint,
    braked_invalid_count  bigint,
    braked_at             timestamptz,
    primary key (project, provider)
);
comment on table ledger.provider_rates is 'the invalid rate that a provider''s next one is compared with';
comment on column ledger.provider_rates.judged_count is 'null: none was accepted yet';
comment on column ledger.provider_rates.braked_judged_count is 'of the rate that held batches; accepted when they are';

create table ledger.receipts (
    change_id    bigint primary key,
    outcome      text not null,
    code         integer,
    text         text not null default '',
    answered_at  timestamptz not null
);
create index receipts_rejected on ledger.receipts (change_id) where outcome = 'rejected';
comment on table ledger.receipts is 'what became of a change: at most one receipt each, written once';

-- For the sensor that asks whether anything was judged since the last plan; a tree would change with each verdict.
create index verdicts_judged_at on ledger.verdicts using brin (judged_at) with (autosummarize = on);
"""


def upgrade() -> None:
    op.execute(TABLES)
