-- Up Migration
-- The append-only event log: the truth that rooms' heads, read states, streams and the message store are projections of.

-- One row: which log this is, and how far it has been trimmed.
create table event_log (
  only_row boolean primary key default true check (only_row),
  -- Random; another epoch makes every cursor of a client void.
  epoch text not null,
  -- The database that the epoch was made in; elsewhere (a restored or cloned database) a new epoch is due.
  database_identity text,
  -- Every event with seq <= trimmed_seq is gone.
  trimmed_seq bigint not null default 0,
  trimmed_at timestamptz not null default '-infinity'
);
insert into event_log (epoch) values (encode(uuid_send(gen_random_uuid()), 'hex'));

create sequence event_seq;

-- type: 1 ChatMessage, 2 RoomChangeEvent, 3 NewRoom, 4 LeaveRoom, 5 UserReadChat, 6 FriendRequestReceived,
-- 7 FriendRequestAccepted, 8 SystemMessage, 9 RoomDeleted (internal). src/log/event.ts holds the same list.
create table event (
  seq bigint not null primary key,
  type smallint not null,
  -- An event is for the members of room_id, or, where recipients is not null, for those people alone.
  room_id uuid,
  recipients uuid[],
  -- room_seq to created_at: messages only (types 1 and 2).
  room_seq bigint,
  message_id uuid,
  sender_id uuid,
  client_message_id uuid,
  message_type smallint,
  created_at timestamptz,
  preview text,
  -- JSON: a message's Body, otherwise the event's own fields.
  body text not null,
  -- The log's clock, never falling along seq.
  logged_at timestamptz not null
) partition by range (seq);
create index event_room_message on event (room_id, seq) where room_seq is not null;
create index event_room_other on event (room_id, seq) where room_seq is null;
create index event_sender on event (room_id, sender_id, seq) where type = 1;
create index event_client_message on event (sender_id, client_message_id) where client_message_id is not null;
create index event_recipients on event using gin (recipients) with (fastupdate = off) where recipients is not null;

-- The log's partitions, [from_seq, to_seq).
create table event_partition (
  from_seq bigint primary key,
  to_seq bigint not null
);

-- Makes the next partition, empty and ahead of use, without a lock that would stop appends.
create function add_event_partition(span bigint) returns void language plpgsql as $$
declare
  low bigint := (select coalesce(max(to_seq), 1) from event_partition);
  name text := format('event_%s', low);
begin
  execute format('create table %I (like event including defaults including constraints)', name);
  execute format('alter table event attach partition %I for values from (%s) to (%s)', name, low, low + span);
  insert into event_partition values (low, low + span);
end $$;
select add_event_partition(2000000);
select add_event_partition(2000000);

alter table chat_room
  -- The room's head where the log no longer holds it.
  add column room_seq bigint not null default 0;

alter table chat_room_participant
  -- How far the member has read, by mark-read or by sends that the log no longer holds; null: not since 0.7.9.
  add column last_read_room_seq bigint;
create index chat_room_participant_joined on chat_room_participant (room_id) include (user_id)
  where participant_state = 'Joined';

-- Who saw a room's events, and from which to which: open where to_seq is null. Kept as long as the log.
create table room_membership (
  user_id uuid not null,
  room_id uuid not null,
  from_seq bigint not null,
  to_seq bigint,
  primary key (user_id, room_id, from_seq)
);
create index room_membership_room on room_membership (room_id);
insert into room_membership (user_id, room_id, from_seq)
  select user_id, room_id, 0 from chat_room_participant where participant_state = 'Joined';

-- How far each projection of the log has come, and who works at it (a lease: holder until lease_until, fenced by epoch).
create table projection (
  name text primary key,
  seq bigint not null default 0,
  epoch bigint not null default 0,
  holder uuid,
  lease_until timestamptz not null default '-infinity'
);
