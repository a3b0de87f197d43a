-- What ISM 0.7.9 leaves in PostgreSQL, in the words of its schema.

create table app_user (
  id uuid primary key,
  created_at timestamptz not null,
  deleted_at timestamptz,
  description varchar(250),
  display_name varchar(255) not null,
  friends_count bigint not null,
  last_modified_at timestamptz,
  profile_picture varchar(255),
  street_credits bigint not null,
  raw_name varchar(255),
  role varchar(255) not null
);
create index user_rawname on app_user (raw_name);
create unique index idx_unique_displayname_if_not_deleted on app_user (display_name) where deleted_at is null;

create table chat_room (
  id uuid primary key,
  created_at timestamptz not null,
  latest_message timestamptz,
  latest_message_preview_text varchar(255),
  room_image_url varchar(255),
  room_name varchar(255),
  room_type varchar(255) not null,
  constraint chat_room_room_type_check check (room_type::text = any (array['Single', 'Group']))
);
create index idx_room_type on chat_room (room_type);
create index idx_room_latest_message on chat_room (latest_message desc);

create table chat_room_participant (
  joined_at timestamptz not null,
  last_message_read_at timestamptz,
  participant_state varchar(255) not null,
  room_id uuid not null references chat_room (id),
  user_id uuid not null references app_user (id),
  primary key (room_id, user_id),
  constraint chat_room_participant_participant_state_check
    check (participant_state::text = any (array['Joined', 'Invited', 'Left']))
);
create index idx_participants_user_room_id on chat_room_participant (user_id, room_id);
create index idx_participants_room_id_membership on chat_room_participant (room_id, participant_state);

create table user_relationship (
  user_a_id uuid not null references app_user (id),
  user_b_id uuid not null references app_user (id),
  state varchar(255) not null,
  relationship_change_timestamp timestamptz not null default current_timestamp,
  primary key (user_a_id, user_b_id),
  constraint user_relationship_state_check check (state::text = any (
    array['A_BLOCKED', 'B_BLOCKED', 'ALL_BLOCKED', 'FRIEND', 'A_INVITED', 'B_INVITED']))
);

create table _sqlx_migrations (
  version bigint primary key,
  description text not null,
  installed_on timestamptz not null default now(),
  success boolean not null,
  checksum bytea not null,
  execution_time bigint not null
);
insert into _sqlx_migrations values
  (20250101000000, 'init', '2025-01-01', true, '\x00', 1),
  (20250601000000, 'relationships', '2025-06-01', true, '\x01', 2);

insert into app_user (id, created_at, deleted_at, description, display_name, friends_count, profile_picture, street_credits, raw_name, role) values
  ('a0000000-0000-4000-8000-000000000001', '2025-01-01', null, 'About Ada', 'Ada', 1, 'https://example.com/ada.jpg', 12, 'ada', 'USER'),
  ('b0000000-0000-4000-8000-000000000002', '2025-01-02', null, null, 'Ben', 1, null, 0, 'ben', 'USER'),
  ('c0000000-0000-4000-8000-000000000003', '2025-01-03', null, null, 'Çağla', 0, null, 0, 'çağla', 'USER'),
  ('d0000000-0000-4000-8000-000000000004', '2025-01-04', '2025-07-01', null, 'Dan', 0, null, 0, 'dan', 'USER'),
  ('e0000000-0000-4000-8000-000000000005', '2025-01-05', null, null, 'Eve', 0, null, 0, null, 'ADMIN');

insert into chat_room (id, created_at, latest_message, latest_message_preview_text, room_image_url, room_name, room_type) values
  -- Ada and Ben; Ben has not read the last message.
  ('11111111-0000-4000-8000-000000000001', '2025-02-01', '2025-08-01T10:00:00.123456Z',
    '{"type":"Text","sender_username":"Ada","text":"see you"}', null, null, 'Single'),
  -- A preview that fills its column, and one who left and one who was invited.
  ('22222222-0000-4000-8000-000000000002', '2025-02-02', '2025-09-01T10:00:00Z',
    rpad('{"type":"Media","sender_username":"Ben","media_type":"', 253, 'm') || '"}', '22222222-0000-4000-8000-000000000002', 'Team', 'Group'),
  -- Nameless and silent.
  ('33333333-0000-4000-8000-000000000003', '2025-02-03', null, null, null, null, 'Group'),
  -- With somebody who was deleted.
  ('44444444-0000-4000-8000-000000000004', '2025-02-04', '2025-06-01T10:00:00Z',
    '{"type":"Text","sender_username":"Dan","text":"bye"}', null, null, 'Single');

insert into chat_room_participant (room_id, user_id, joined_at, last_message_read_at, participant_state) values
  ('11111111-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', '2025-02-01', '2025-08-01T10:00:00.123456Z', 'Joined'),
  ('11111111-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000002', '2025-02-01', '2025-07-31', 'Joined'),
  ('22222222-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001', '2025-02-02', null, 'Joined'),
  ('22222222-0000-4000-8000-000000000002', 'b0000000-0000-4000-8000-000000000002', '2025-02-03', '2025-10-01', 'Joined'),
  ('22222222-0000-4000-8000-000000000002', 'c0000000-0000-4000-8000-000000000003', '2025-02-04', '2025-03-01', 'Left'),
  ('22222222-0000-4000-8000-000000000002', 'e0000000-0000-4000-8000-000000000005', '2025-02-05', null, 'Invited'),
  ('33333333-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000001', '2025-02-03', '2025-02-03', 'Joined'),
  ('33333333-0000-4000-8000-000000000003', 'e0000000-0000-4000-8000-000000000005', '2025-02-03', null, 'Joined'),
  ('44444444-0000-4000-8000-000000000004', 'a0000000-0000-4000-8000-000000000001', '2025-02-04', '2025-06-02', 'Joined'),
  ('44444444-0000-4000-8000-000000000004', 'd0000000-0000-4000-8000-000000000004', '2025-02-04', '2025-06-01T10:00:00Z', 'Joined');

insert into user_relationship (user_a_id, user_b_id, state, relationship_change_timestamp) values
  ('a0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000002', 'FRIEND', '2025-03-01'),
  ('a0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000003', 'ALL_BLOCKED', '2025-03-02'),
  ('b0000000-0000-4000-8000-000000000002', 'c0000000-0000-4000-8000-000000000003', 'B_BLOCKED', '2025-03-03'),
  -- The other way round: Eve invited Ada.
  ('e0000000-0000-4000-8000-000000000005', 'a0000000-0000-4000-8000-000000000001', 'A_INVITED', '2025-03-04');
