-- Up Migration
-- What is delivered to others out of the log: what they would not take, who wants no pushes, and who was left behind.

-- Deliveries that were given up, kept until they are delivered or discarded by hand.
create table dead_delivery (
  id bigint generated always as identity primary key,
  -- 'push:kafka', 'push:http', 'webhook:<key>'
  target text not null,
  -- Of the event that it is about.
  seq bigint not null,
  payload text not null,
  reason text not null,
  attempts int not null,
  died_at timestamptz not null default clock_timestamp()
);
create index dead_delivery_target on dead_delivery (target, id);

-- Until when the member wants no pushes of the room; 'infinity': until undone.
alter table chat_room_participant add column muted_until timestamptz;
create index chat_room_participant_muted on chat_room_participant (room_id) include (user_id, muted_until)
  where muted_until is not null;

-- Since when events that the projection had not had are gone from the log: nobody works at it until it is resumed.
alter table projection add column broken_at timestamptz;
