-- Up Migration
-- Who is connected where. Unlogged: the nodes make all of it anew within seconds, and it costs no write-ahead log.

-- The nodes that run, each for as long as its lease; one that lost its own begins again under another id.
create unlogged table node (
  id uuid primary key,
  -- Host and process, for operators.
  name text not null,
  -- What projection.holder calls it.
  holder uuid not null,
  lease_until timestamptz not null,
  -- Its lease ended and is not prolonged any more: its rows of presence are on their way into last_seen.
  ended boolean not null default false,
  -- The newest event that its tail had read, and how far and how long that was behind the log's head.
  tail_seq bigint not null default 0,
  tail_lag bigint not null default 0,
  tail_lag_seconds float8 not null default 0
);

-- The people with a stream on a node.
create unlogged table presence (
  user_id uuid not null,
  node_id uuid not null,
  primary key (user_id, node_id)
);
create index presence_node on presence (node_id);

-- When somebody's last stream on a node ended.
create table last_seen (
  user_id uuid primary key references app_user on delete cascade,
  seen_at timestamptz not null
);
