DROP TRIGGER comments_touch_ticket;
ALTER TABLE tickets DROP COLUMN updated_at;
