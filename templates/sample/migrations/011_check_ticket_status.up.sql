-- SQLite cannot add a CHECK to a table that exists: make a new one, copy, put it in the old one's place.
PRAGMA foreign_keys = OFF;
BEGIN;

CREATE TABLE tickets_new (
	id          INTEGER PRIMARY KEY,
	customer_id INTEGER NOT NULL REFERENCES customers (id),
	agent_id    INTEGER REFERENCES agents (id) ON DELETE SET NULL,
	subject     TEXT,
	body        TEXT NOT NULL DEFAULT '',
	status      VARCHAR(16) NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'open', 'waiting', 'closed')),
	created_at  TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
	priority    INTEGER NOT NULL DEFAULT 3
);

INSERT INTO tickets_new (id, customer_id, agent_id, subject, body, status, created_at, priority)
	SELECT id, customer_id, agent_id, subject, body, status, created_at, priority FROM tickets;

DROP TABLE tickets;
ALTER TABLE tickets_new RENAME TO tickets;
CREATE INDEX tickets_by_customer ON tickets (customer_id);

COMMIT;
