-- Up Migration
-- The tables of ISM 0.7.9, made where they are not there yet, so that its database is adopted in place.

create table if not exists app_user (
  id uuid not null primary key,
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
create index if not exists user_rawname on app_user (raw_name);
create unique index if not exists idx_unique_displayname_if_not_deleted on app_user (display_name)
  where deleted_at is null;

create table if not exists chat_room (
  id uuid not null primary key,
  created_at timestamptz not null,
  latest_message timestamptz,
  latest_message_preview_text varchar(255),
  room_image_url varchar(255),
  room_name varchar(255),
  room_type varchar(255) not null check (room_type in ('Single', 'Group'))
);
create index if not exists idx_room_type on chat_room (room_type);

create table if not exists chat_room_participant (
  joined_at timestamptz not null,
  last_message_read_at timestamptz,
  participant_state varchar(255) not null check (participant_state in ('Joined', 'Invited', 'Left')),
  room_id uuid not null references chat_room,
  user_id uuid not null references app_user,
  primary key (room_id, user_id)
);
create index if not exists idx_participants_user_room_id on chat_room_participant (user_id, room_id);

create table if not exists user_relationship (
  user_a_id uuid not null references app_user,
  user_b_id uuid not null references app_user,
  state varchar(255) not null
    check (state in ('A_BLOCKED', 'B_BLOCKED', 'ALL_BLOCKED', 'FRIEND', 'A_INVITED', 'B_INVITED')),
  relationship_change_timestamp timestamptz not null default now(),
  primary key (user_a_id, user_b_id),
  check (user_a_id <> user_b_id)
);
create index if not exists user_relationship_b on user_relationship (user_b_id, user_a_id);

-- A preview with a long name outgrows 255 characters.
alter table chat_room alter column latest_message_preview_text type text;

-- ISM keeps a pair in order, user_a_id < user_b_id, and reads no row that is not.
update user_relationship r
set user_a_id = r.user_b_id,
    user_b_id = r.user_a_id,
    state = case when r.state in ('FRIEND', 'ALL_BLOCKED') then r.state
      else translate(left(r.state, 1), 'AB', 'BA') || substr(r.state, 2) end
where r.user_a_id > r.user_b_id
  and not exists (select from user_relationship o where o.user_a_id = r.user_b_id and o.user_b_id = r.user_a_id);

-- Of a pair that is there both ways round the later row counts: the two exchange what they say, and the other one stays.
update user_relationship r
set state = case when o.state in ('FRIEND', 'ALL_BLOCKED') then o.state
      else translate(left(o.state, 1), 'AB', 'BA') || substr(o.state, 2) end,
    relationship_change_timestamp = o.relationship_change_timestamp
from user_relationship o
where o.user_a_id = r.user_b_id and o.user_b_id = r.user_a_id
  and case when r.user_a_id < r.user_b_id then r.relationship_change_timestamp < o.relationship_change_timestamp
    else r.relationship_change_timestamp > o.relationship_change_timestamp end;

-- Substring search by name. Without pg_trgm (a trusted extension of PostgreSQL's contrib) search reads the whole table.
do $$
begin
  create extension if not exists pg_trgm;
  create index app_user_search on app_user using gin (lower(coalesce(raw_name, display_name)) gin_trgm_ops)
    where deleted_at is null;
exception when insufficient_privilege or undefined_file or feature_not_supported then
  raise warning 'pg_trgm is not available: searching users by name will be slow';
end $$;

-- The people whom ISM itself made from a token, with the claim that their name came from.
create table user_provision (
  user_id uuid primary key references app_user on delete cascade,
  name_claim text not null,
  -- The token's iat, in seconds: an older token does not undo a newer one's name.
  issued_at bigint not null
);

-- Every node keeps people in a cache; whoever changes a row, ISM or the operator, tells them which.
create function app_user_changed() returns trigger language plpgsql as $$
begin
  perform pg_notify('ism_user', coalesce(new.id, old.id)::text);
  return null;
end $$;
create trigger app_user_changed after update or delete on app_user
  for each row execute function app_user_changed();
