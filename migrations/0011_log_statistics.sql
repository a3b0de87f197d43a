-- Up Migration
-- How many rooms and senders the planner takes the log to have. Where a few rooms write most of it, the sampled numbers
-- are a few; then the newest message of a room seems quickest to find by reading the whole log backwards, which for a
-- room without any in it means all of it, under the log's lock.

-- Any number from some hundred on makes the indexes by room win; it is also what an event's share of a partition is
-- estimated from, so that a page of a large room is read in order, not gathered and sorted.
create function assume_many_rooms(partition regclass) returns void language plpgsql as $$
begin
  execute format('alter table %s alter column room_id set (n_distinct = 1000), alter column sender_id set (n_distinct = 1000)',
    partition);
end $$;

create or replace function add_event_partition(span bigint) returns void language plpgsql as $$
declare
  low bigint := (select coalesce(max(to_seq), 1) from event_partition);
  name text := format('event_%s', low);
begin
  execute format('create table %I (like event including defaults including constraints)', name);
  perform assume_many_rooms(name::regclass);
  execute format('alter table event attach partition %I for values from (%s) to (%s)', name, low, low + span);
  insert into event_partition values (low, low + span);
end $$;

-- Not those that are empty: a partition that is known to be so is read whole, by a plan that a connection keeps when it
-- has long been filled.
do $$
declare
  name regclass;
  is_used boolean;
begin
  for name in select inhrelid::regclass from pg_inherits where inhparent = 'event'::regclass and not inhdetachpending loop
    perform assume_many_rooms(name);
    execute format('select exists (select from %s)', name) into is_used;
    if is_used then
      execute format('analyze %s (room_id, sender_id)', name);
    end if;
  end loop;
end $$;
