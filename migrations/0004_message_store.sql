-- Up Migration
-- The messages that the archiver copied out of the log, where messages live in PostgreSQL.

create table message (
  room_id uuid not null,
  created_at timestamptz not null,
  message_id uuid not null,
  room_seq bigint,
  sender_id uuid not null,
  client_message_id uuid,
  message_type smallint not null,
  body text not null,
  primary key (room_id, created_at, message_id)
);

-- Pictures that no room refers to: put here before the upload, and again when replaced, so that a crash leaves no orphan.
create table object_garbage (
  key text primary key,
  since timestamptz not null default now()
);
