ALTER TABLE tickets ADD COLUMN updated_at TEXT;
UPDATE tickets SET updated_at = created_at;

CREATE TRIGGER comments_touch_ticket AFTER INSERT ON comments
BEGIN
	UPDATE tickets SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.ticket_id;
END;
