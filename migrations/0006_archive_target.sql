-- Up Migration
-- What tells whether the log has all of a room, and which store the archive goes to.

-- Rooms that are there already may have messages from before the log, which ISM 0.7.9 left in its own store.
alter table chat_room add column began_before_log boolean not null default true;
alter table chat_room alter column began_before_log set default false;

-- The message store that the archive position belongs to; null: none yet.
alter table event_log add column message_store text;
