CREATE TABLE agents (
	id    INTEGER PRIMARY KEY,
	login VARCHAR(32) NOT NULL UNIQUE
);

CREATE TABLE tickets (
	id          INTEGER PRIMARY KEY,
	customer_id INTEGER NOT NULL REFERENCES customers (id),
	agent_id    INTEGER REFERENCES agents (id) ON DELETE SET NULL,
	title       TEXT NOT NULL,
	body        TEXT NOT NULL DEFAULT '',
	status      VARCHAR(16) NOT NULL DEFAULT 'new',
	created_at  TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX tickets_by_customer ON tickets (customer_id);
