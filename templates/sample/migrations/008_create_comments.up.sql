CREATE TABLE comments (
	id         INTEGER PRIMARY KEY,
	ticket_id  INTEGER NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
	author     TEXT NOT NULL,
	body       TEXT NOT NULL,
	created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX comments_by_ticket ON comments (ticket_id);

INSERT INTO comments (ticket_id, author, body)
	SELECT id, 'system', 'Imported from the old tracker.' FROM tickets WHERE status <> 'new';
