-- A few people and rooms as ISM 0.7.9 leaves them, for the tables of fixture-0.7.9/schema.sql.

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
