-- Up Migration
-- How the log is written and its heads are read. Every writer of rooms, members, relationships or friend counts
-- takes this lock before anything else, so that seq rises in commit order and no other lock order exists.

create function lock_log() returns void language sql volatile as $$
  select pg_advisory_xact_lock(5403)
$$;

-- The log's clock, to be read under the lock: one clock for all nodes, and never falling even if the server's is set back.
create function log_time() returns timestamptz language sql volatile as $$
  select greatest(
    date_trunc('milliseconds', clock_timestamp()),
    (select logged_at from event order by seq desc limit 1),
    (select trimmed_at from event_log))
$$;

-- A room's newest message, from the log or, where that is trimmed, from the room's row.
create function room_head(room uuid) returns table (room_seq bigint, latest_message timestamptz, preview text)
language sql stable rows 1 as $$
  select coalesce(e.room_seq, r.room_seq), coalesce(e.created_at, r.latest_message), coalesce(e.preview, r.latest_message_preview_text)
  from chat_room r
  left join lateral (
    select m.room_seq, m.created_at, m.preview from event m
    where m.room_id = r.id and m.room_seq is not null order by m.seq desc limit 1) e on true
  where r.id = room
$$;

-- How far a member has read: sending reads everything, so their newest message in the log counts too.
create function member_read(room uuid, member uuid) returns table (room_seq bigint, read_at timestamptz)
language sql stable rows 1 as $$
  select greatest(p.last_read_room_seq, e.room_seq), greatest(p.last_message_read_at, e.created_at)
  from chat_room_participant p
  left join lateral (
    select m.room_seq, m.created_at from event m
    where m.room_id = p.room_id and m.sender_id = p.user_id and m.type = 1 order by m.seq desc limit 1) e on true
  where p.room_id = room and p.user_id = member
$$;

-- Appends one event. Only under the lock, in a statement after the one that took it.
create function append_event(
  type smallint, room_id uuid, recipients uuid[], room_seq bigint, message_id uuid, sender_id uuid,
  message_type smallint, created_at timestamptz, preview text, body text)
returns bigint language plpgsql volatile as $$
declare
  s bigint := nextval('event_seq');
begin
  insert into event values
    (s, type, room_id, recipients, room_seq, message_id, sender_id, null, message_type, created_at, preview, body, log_time());
  perform pg_notify('ism_log', s::text);
  return s;
end $$;

-- One batch of sends, one row each and no update. status: 0 appended, 1 appended before (same client message id),
-- 2 the client message id is another message's, 3 no such room, 4 not a member.
-- The lock is taken in a statement of its own: what follows has snapshots that see all that the last holder committed.
-- A batch holds a (sender, client message id) at most once; the caller sees to that.
create function append_sends(
  rooms uuid[], senders uuid[], message_ids uuid[], client_ids uuid[], types smallint[], bodies text[], previews text[])
returns table (n int, status smallint, seq bigint, room_seq bigint, message_id uuid, created_at timestamptz)
language plpgsql volatile as $$
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
  select a.n::int, 0::smallint, a.seq, a.room_seq, a.message_id, a.created_at from appended a
  union all
  select p.n::int, (case when p.same then 1 else 2 end)::smallint, p.seq, p.room_seq, p.message_id, p.created_at from prior p
  union all
  select i.n::int, (case when i.room_exists then 4 else 3 end)::smallint, null, null, null, null
  from input i where not i.is_member and not exists (select from prior p where p.n = i.n);
  perform pg_notify('ism_log', (select last_value from event_seq)::text);
end $$;
