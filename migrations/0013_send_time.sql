-- Up Migration
-- append_sends (0003) says when the log took a batch in, too: whoever appended it then knows the whole events, and need
-- not read them. Callers name the columns that they want, so nodes of the version before go on.
-- And what is read under the log's lock is read by index, whatever the statistics say of a partition that was analysed
-- while it was empty: read whole, a log of 30,000 events held everybody up for 25 ms a batch. Before PostgreSQL 18 what has
-- no index then looks so dear that it would be compiled (jit) each time, for 250 ms.

alter function log_time() set enable_seqscan = off set jit = off;

drop function append_sends(uuid[], uuid[], uuid[], uuid[], smallint[], text[], text[]);

-- One batch of sends, one row each and no update. status: 0 appended, 1 appended before (same client message id),
-- 2 the client message id is another message's, 3 no such room, 4 not a member.
-- The lock is taken in a statement of its own: what follows has snapshots that see all that the last holder committed.
-- A batch holds a (sender, client message id) at most once; the caller sees to that.
create function append_sends(
  rooms uuid[], senders uuid[], message_ids uuid[], client_ids uuid[], types smallint[], bodies text[], previews text[])
returns table (
  n int, status smallint, seq bigint, room_seq bigint, message_id uuid, created_at timestamptz, logged_at timestamptz)
language plpgsql volatile set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  t timestamptz;
begin
  perform lock_log();
  t := log_time();
  return query
  with input as materialized (
    select i.n, i.room_id, i.sender_id, i.message_id, i.client_id, i.type, i.body, i.preview,
      r.id is not null room_exists, p.user_id is not null is_member
    from unnest(rooms, senders, message_ids, client_ids, types, bodies, previews) with ordinality
      as i(room_id, sender_id, message_id, client_id, type, body, preview, n)
    left join chat_room r on r.id = i.room_id
    left join chat_room_participant p
      on p.room_id = i.room_id and p.user_id = i.sender_id and p.participant_state = 'Joined'),
  prior as materialized (
    select i.n, e.seq, e.room_seq, e.message_id, e.created_at,
      e.room_id = i.room_id and e.message_type = i.type and e.body = i.body same
    from input i
    cross join lateral (
      select e.seq, e.room_seq, e.message_id, e.created_at, e.room_id, e.message_type, e.body from event e
      where e.sender_id = i.sender_id and e.client_message_id = i.client_id order by e.seq limit 1) e
    where i.client_id is not null and i.room_exists),
  sends as materialized (
    select i.*, row_number() over (partition by i.room_id order by i.n) k, nextval('event_seq') seq
    from (select * from input i where i.is_member and not exists (select from prior p where p.n = i.n) order by i.n) i),
  heads as materialized (
    select h.room_id, head.room_seq, head.latest_message
    from (select distinct room_id from sends) h cross join lateral room_head(h.room_id) head),
  appended as materialized (
    select s.n, s.seq, s.room_id, h.room_seq + s.k room_seq, s.message_id, s.sender_id, s.client_id, s.type, s.body, s.preview,
      greatest(t, date_trunc('milliseconds', h.latest_message) + interval '1 ms') + (s.k - 1) * interval '1 ms' created_at
    from sends s join heads h on h.room_id = s.room_id),
  inserted as (
    insert into event (seq, type, room_id, room_seq, message_id, sender_id, client_message_id, message_type, created_at,
      preview, body, logged_at)
    select a.seq, 1, a.room_id, a.room_seq, a.message_id, a.sender_id, a.client_id, a.type, a.created_at,
      a.preview, a.body, t from appended a)
  select a.n::int, 0::smallint, a.seq, a.room_seq, a.message_id, a.created_at, t from appended a
  union all
  select p.n::int, (case when p.same then 1 else 2 end)::smallint, p.seq, p.room_seq, p.message_id, p.created_at, null from prior p
  union all
  select i.n::int, (case when i.room_exists then 4 else 3 end)::smallint, null, null, null, null, null
  from input i where not i.is_member and not exists (select from prior p where p.n = i.n);
  perform pg_notify('ism_log', (select last_value from event_seq)::text);
end $$;
