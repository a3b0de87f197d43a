-- The tables of ISM 0.7.9 in PostgreSQL, with the names that its own migrations gave to constraints and indexes.

create table app_user (
  id uuid not null primary key,
  created_at timestamptz(6) not null,
  deleted_at timestamptz(6),
  description varchar(250),
  display_name varchar(255) not null,
  friends_count bigint not null,
  last_modified_at timestamptz(6),
  profile_picture varchar(255),
  street_credits bigint not null,
  raw_name varchar(255),
  role varchar(255) not null
);
create index user_rawname on app_user (raw_name);
create unique index idx_unique_displayname_if_not_deleted on app_user (display_name) where deleted_at is null;

create table chat_room (
  id uuid not null primary key,
  created_at timestamptz(6) not null,
  latest_message timestamptz(6),
  latest_message_preview_text varchar(255),
  room_image_url varchar(255),
  room_name varchar(255),
  room_type varchar(255) not null,
  constraint chat_room_room_type_check check (room_type::text = any (array['Single', 'Group']))
);
create index idx_room_type on chat_room (room_type);
create index idx_room_latest_message on chat_room (latest_message);

create table chat_room_participant (
  joined_at timestamptz(6) not null,
  last_message_read_at timestamptz(6),
  participant_state varchar(255) not null,
  room_id uuid not null,
  user_id uuid not null,
  primary key (room_id, user_id),
  constraint chat_room_participant_participant_state_check
    check (participant_state::text = any (array['Joined', 'Invited', 'Left'])),
  constraint fk677gcppc5fneuseoige64fsnm foreign key (room_id) references chat_room,
  constraint fkdjp8ps7q8cjcitu5e8fgkhxq0 foreign key (user_id) references app_user
);
create index idx_participants_user_room_id on chat_room_participant (user_id, room_id);
create index idx_participants_room_id_membership on chat_room_participant (room_id, participant_state);

create table user_relationship (
  user_a_id uuid not null,
  user_b_id uuid not null,
  state varchar(255) not null,
  relationship_change_timestamp timestamptz not null default now(),
  primary key (user_a_id, user_b_id),
  constraint uk_user_relationship_users unique (user_a_id, user_b_id),
  constraint ck_user_relationship_ids_not_equal check (user_a_id <> user_b_id),
  constraint user_relationship_state_check
    check (state::text = any (array['A_BLOCKED', 'B_BLOCKED', 'ALL_BLOCKED', 'FRIEND', 'A_INVITED', 'B_INVITED'])),
  constraint fkph3o17werngwyisq1y6vlf25r foreign key (user_a_id) references app_user,
  constraint fkpk2xkm3f30twy5prqu8pp4wkj foreign key (user_b_id) references app_user
);
create index idx_user_relationship_users on user_relationship (user_a_id, user_b_id);
create index idx_user_relationship_state on user_relationship (state);

-- The bookkeeping of sqlx, by which ISM 0.7.9 knows that its migrations are done.
create table _sqlx_migrations (
  version bigint primary key,
  description text not null,
  installed_on timestamptz not null default now(),
  success boolean not null,
  checksum bytea not null,
  execution_time bigint not null
);
insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) values
  (20251026141354, 'create initial tables', '2025-11-01T09:00:00Z', true, sha384('create initial tables'), 41000000),
  (20251206120035, 'create user relation', '2025-12-08T09:00:00Z', true, sha384('create user relation'), 12000000);
