-- Up Migration
-- Deliveries that were given up are gone with their room, whose texts they have, and when the log would be rid of them.

-- Null: the event has no room, or outlives it (LeaveRoom).
alter table dead_delivery add column room_id uuid references chat_room (id) on delete cascade;
create index dead_delivery_room on dead_delivery (room_id) where room_id is not null;
create index dead_delivery_died_at on dead_delivery (died_at);
