-- Up Migration
-- Notifications that the backend sends: SystemMessage events, each once for as long as the log has it.

-- What a notification consisted of, so that another one under the same id is noticed. Its id is in message_id. Both go
-- with the partition, and no other kind of event has an entry in the index.
alter table event add column content_hash bytea;
create index event_notification on event (message_id) where type = 8;

-- Signed requests that were taken, so that one that somebody overheard is not taken again. After a crash all are
-- forgotten: then only their notifications' ids tell.
create unlogged table received_request (
  -- SHA-256 of what was signed.
  digest bytea primary key,
  received_at timestamptz not null default clock_timestamp()
);

-- One batch of notifications, one row each, for those of their users who are known. status: 0 appended, 1 appended
-- before (same id), 2 the id is another notification's, 3 nobody is known, and so no event.
-- users[k] is one of those whom notification owners[k] (from 1) is for. A batch holds an id, and a notification a user,
-- at most once; the caller sees to that. The lock is taken in a statement of its own, as in append_sends, and after
-- the users were looked up: for 10,000 of them that takes longer than all the rest, and does not depend on the log.
create function append_notifications(ids uuid[], hashes bytea[], bodies text[], users uuid[], owners int[])
returns table (n int, status smallint, seq bigint, served int, unknown uuid[])
language plpgsql volatile as $$
#variable_conflict use_column
declare
  t timestamptz;
  found boolean[];
begin
  select array_agg(u.id is not null order by a.k) into found
  from unnest(users) with ordinality as a(user_id, k)
  left join app_user u on u.id = a.user_id and u.deleted_at is null;
  perform lock_log();
  t := log_time();
  return query
  with input as materialized (
    select i.n, i.id, i.hash, i.body from unnest(ids, hashes, bodies) with ordinality as i(id, hash, body, n)),
  addressed as materialized (
    select a.n, a.user_id, a.found, a.k from unnest(owners, users, found) with ordinality as a(n, user_id, found, k)),
  prior as materialized (
    select i.n, e.seq, e.recipients, e.content_hash = i.hash same
    from input i
    cross join lateral (
      select e.seq, e.recipients, e.content_hash from event e
      where e.type = 8 and e.message_id = i.id order by e.seq limit 1) e),
  judged as materialized (
    select a.n, a.user_id, a.k, case when p.n is null then a.found else r.user_id is not null end known
    from addressed a
    left join prior p on p.n = a.n
    left join (select p.n, unnest(p.recipients) user_id from prior p) r on r.n = a.n and r.user_id = a.user_id),
  people as materialized (
    select j.n, coalesce(array_agg(j.user_id order by j.k) filter (where j.known), '{}') known,
      coalesce(array_agg(j.user_id order by j.k) filter (where not j.known), '{}') unknown
    from judged j group by j.n),
  appended as materialized (
    select i.*, nextval('event_seq') seq
    from (
      select i.n, i.id, i.hash, i.body, p.known from input i join people p on p.n = i.n
      where cardinality(p.known) > 0 and not exists (select from prior b where b.n = i.n) order by i.n) i),
  inserted as (
    insert into event (seq, type, recipients, message_id, body, logged_at, content_hash)
    select a.seq, 8, a.known, a.id, a.body, t, a.hash from appended a)
  select i.n::int, (case when a.seq is not null then 0 when b.same then 1 when b.n is not null then 2 else 3 end)::smallint,
    coalesce(a.seq, b.seq), cardinality(p.known), p.unknown
  from input i
  join people p on p.n = i.n
  left join appended a on a.n = i.n
  left join prior b on b.n = i.n;
  perform pg_notify('ism_log', (select last_value from event_seq)::text);
end $$;
