-- Up Migration
-- How the log's partitions come and go.

-- Keeps at least `span` sequence numbers of partitions ahead of use.
create function extend_event_log(span bigint) returns void language plpgsql set lock_timeout = '2s' as $$
begin
  perform pg_advisory_xact_lock(5404);
  while (select max(to_seq) from event_partition) - (select last_value from event_seq) <= span loop
    perform add_event_partition(span);
  end loop;
end $$;

-- Ends the partition in use where its first event is older than `age`: the sequence goes on with the next partition,
-- so that a quiet log can be trimmed too.
create function cut_event_log(age interval) returns void language plpgsql as $$
declare
  used event_partition;
begin
  perform lock_log();
  select p.* into used from event_partition p
    where (select seq from event order by seq desc limit 1) >= p.from_seq
      and (select last_value from event_seq) between p.from_seq and p.to_seq - 2
    order by p.from_seq desc limit 1;
  if (select e.logged_at from event e where e.seq >= used.from_seq order by e.seq limit 1) < clock_timestamp() - age
    and exists (select from event_partition where from_seq = used.to_seq) then
    perform setval('event_seq', used.to_seq - 1);
  end if;
end $$;
