-- Up Migration
-- Tickets by which a browser's EventSource, which sends no headers, opens a stream on any node.

create table stream_ticket (
  -- SHA-256: whoever reads this table can open nothing.
  hash bytea primary key,
  user_id uuid not null,
  -- exp of the token that it was given for.
  expires_at timestamptz not null,
  -- The first stream has to begin before this.
  open_until timestamptz not null,
  -- Counts the streams that it opened; only the newest may go on.
  openings int not null default 0,
  -- Whether the newest may still be open; the end of a stream is noted only up to open_until.
  is_open boolean not null default false
);
