"""What the ledger knows of sites: memories and breakers, the egress of a session, DNS messages, and two views.

A site's name is a key from here on, so it sorts by bytes like every other. The views are documented where BI tools
look, in the comments on them and their columns, and in ``docs/reference/ledger_views.md``.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
alter table ledger.domains
    alter column site type text collate "C",
    add column dns_query_count bigint not null default 0,
    add column mx_query_count bigint not null default 0;
comment on column ledger.domains.dns_query_count is 'DNS messages ever sent to learn its facts, repeats included';
comment on column ledger.domains.mx_query_count is 'of these, the ones that asked for its MX records';
create index domains_lane_site on ledger.domains (lane, site, domain_id);
drop index ledger.domains_lane;

alter table ledger.sessions
    alter column site type text collate "C",
    add column egress text collate "C" not null default 'default';

create table ledger.site_memories (
    egress                 text collate "C" not null,
    site                   text collate "C" not null,
    lane                   text not null,
    share                  double precision not null,
    ceiling                integer,
    ceiling_at             timestamptz,
    breaker_reason         text,
    breaker_text           text,
    breaker_opened_at      timestamptz,
    breaker_until_at       timestamptz,
    breaker_opened_count   integer,
    is_pipelining_broken   boolean not null,
    prefers_other_sender   boolean not null,
    is_cautious            boolean not null,
    updated_at             timestamptz not null,
    primary key (egress, site),
    check (num_nulls(breaker_reason, breaker_text, breaker_opened_at, breaker_until_at, breaker_opened_count) in (0, 5))
);
create index site_memories_breaker on ledger.site_memories (lane, site, breaker_until_at)
    where breaker_until_at is not null;
comment on table ledger.site_memories is 'what is remembered of a site from run to run, as seen from one egress';
comment on column ledger.site_memories.share is 'of the site''s limits that is in use, above 0 and up to 1';
comment on column ledger.site_memories.ceiling is 'connections it was seen to bear at once; null: nothing showed it';
comment on column ledger.site_memories.breaker_reason is 'null: we are welcome';
comment on column ledger.site_memories.breaker_until_at is 'nothing is asked before; then one session tries';
"""

# Reasons that speak of us, not of a mailbox or of the host's own trouble.
REFUSALS_OF_US = "'prober_blocked', 'sender_refused', 'policy_refused', 'rate_limited', 'tls_or_login_required'"

DUE_BACKLOG = """
create view ledger.due_backlog as
select lane, coalesce(reason, 'not_asked_yet') as reason,
       count(*) filter (where due_at <= now()) as due_now_count,
       count(*) filter (where due_at > now() and due_at <= now() + interval '1 hour') as within_hour_count,
       count(*) filter (where due_at > now() + interval '1 hour') as later_count,
       min(due_at) as next_at,
       max(attempt_count) as max_attempt_count,
       count(*) filter (where until_at > now()) as behind_breaker_count
from (
    select d.lane, p.reason, due.attempt_count, b.until_at, greatest(due.next_attempt_at, b.until_at) as due_at
    from ledger.due
    join ledger.domains d using (domain_id)
    left join ledger.probes p on p.probe_id = due.probe_id
    left join (
        select lane, site, max(breaker_until_at) as until_at
        from ledger.site_memories where breaker_until_at is not null
        group by lane, site
    ) as b on b.lane = d.lane and b.site = d.site
    where due.next_attempt_at is not null
) as waiting
group by 1, 2;

comment on view ledger.due_backlog is
    'addresses that wait to be asked, by lane and by the reason of their last answer';
comment on column ledger.due_backlog.lane is 'empty: their domains were never looked up';
comment on column ledger.due_backlog.reason is 'of the last answer; not_asked_yet: there was none';
comment on column ledger.due_backlog.within_hour_count is 'due later than now, but within an hour';
comment on column ledger.due_backlog.later_count is 'due in more than an hour';
comment on column ledger.due_backlog.next_at is 'when the first of them is due';
comment on column ledger.due_backlog.max_attempt_count is 'attempts that the most tried of them has behind it';
comment on column ledger.due_backlog.behind_breaker_count is
    'of them all, those at sites that turned us away: due when the breaker''s time is up';
"""

# Counts by site are made one table at a time and joined at the end: each is one pass over its table.
SITE_COSTS = f"""
create view ledger.site_costs as
with site_sessions as (
    select egress, lane, site, count(*) as session_count, sum(rcpt_count) as rcpt_count, max(ended_at) as last_seen_at
    from ledger.sessions group by egress, lane, site
),
session_probes as (
    select session_id,
           count(*) filter (where kind = 'random') as random_probe_count,
           count(*) filter (where kind = 'control') as control_probe_count,
           count(*) filter (where code > 0) as reply_count,
           count(*) filter (where code between 400 and 499) as temporary_reply_count,
           count(*) filter (where reason in ({REFUSALS_OF_US})) as refusal_count
    from ledger.probes group by session_id
),
site_probes as (
    select egress, lane, site, sum(random_probe_count) as random_probe_count,
           sum(control_probe_count) as control_probe_count, sum(reply_count) as reply_count,
           sum(temporary_reply_count) as temporary_reply_count, sum(refusal_count) as refusal_count
    from session_probes join ledger.sessions using (session_id) group by egress, lane, site
),
domain_addresses as (
    select domain_id, count(*) filter (where attempt_count > 0 or answered_at is not null) as address_count
    from ledger.due group by domain_id
),
site_domains as (
    select lane, site, count(*) as domain_count, sum(dns_query_count) as dns_query_count,
           sum(mx_query_count) as mx_query_count, sum(address_count) as address_count
    from ledger.domains left join domain_addresses using (domain_id)
    where service is not null group by lane, site
),
seen as (
    select egress, lane, site from site_sessions union select egress, lane, site from ledger.site_memories
)
select lane, site, egress,
       coalesce(session_count, 0) as session_count,
       coalesce(rcpt_count, 0)::bigint as rcpt_count,
       coalesce(address_count, 0)::bigint as address_count,
       session_count / nullif(address_count, 0)::double precision as sessions_per_address,
       rcpt_count / nullif(address_count, 0)::double precision as rcpts_per_address,
       coalesce(random_probe_count, 0)::bigint as random_probe_count,
       coalesce(control_probe_count, 0)::bigint as control_probe_count,
       coalesce(reply_count, 0)::bigint as reply_count,
       temporary_reply_count / nullif(reply_count, 0)::double precision as temporary_reply_rate,
       coalesce(refusal_count, 0)::bigint as refusal_count,
       coalesce(domain_count, 0) as domain_count,
       coalesce(dns_query_count, 0)::bigint as dns_query_count,
       coalesce(mx_query_count, 0)::bigint as mx_query_count,
       dns_query_count / nullif(address_count, 0)::double precision as dns_queries_per_address,
       share as connection_share,
       ceiling as connection_ceiling,
       case when breaker_until_at is null then 'closed'
            when breaker_until_at > now()
            then 'open until ' || to_char(breaker_until_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
            else 'trial due' end as breaker_state,
       breaker_reason, breaker_text, breaker_until_at, last_seen_at
from seen
left join site_sessions using (egress, lane, site)
left join site_probes using (egress, lane, site)
left join site_domains using (lane, site)
left join ledger.site_memories using (egress, lane, site);

comment on view ledger.site_costs is
    'what verifying has cost each site that we spoke to, and how we stand with it: a row per lane, site and egress';
comment on column ledger.site_costs.session_count is 'TCP connections, and attempts at one';
comment on column ledger.site_costs.rcpt_count is 'RCPT commands of all kinds';
comment on column ledger.site_costs.address_count is
    'addresses of the lists that were asked at this site, or that their domain answered for; of all egresses';
comment on column ledger.site_costs.sessions_per_address is 'null: no address has an answer yet';
comment on column ledger.site_costs.random_probe_count is 'questions about a name that cannot exist: a catch-all?';
comment on column ledger.site_costs.control_probe_count is 'questions about postmaster: does it tell names apart?';
comment on column ledger.site_costs.reply_count is 'replies on record, to questions and of sessions that were refused';
comment on column ledger.site_costs.temporary_reply_rate is 'share of 4xx among the replies, 0 to 1';
comment on column ledger.site_costs.refusal_count is 'replies that turned us away, or wanted less of us';
comment on column ledger.site_costs.domain_count is 'mail domains at this site';
comment on column ledger.site_costs.dns_query_count is 'DNS messages ever sent for its domains; of all egresses';
comment on column ledger.site_costs.connection_share is 'of the site''s limits in use, 0 to 1; null: not known';
comment on column ledger.site_costs.connection_ceiling is 'connections it was seen to bear at once; null: not known';
comment on column ledger.site_costs.breaker_state is 'closed, open until a time, or trial due: one session tries next';
comment on column ledger.site_costs.breaker_text is 'the site''s own words';
"""  # noqa: S608 - the words above


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(DUE_BACKLOG)
    op.execute(SITE_COSTS)
