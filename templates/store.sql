-- The one SQLite file of stepbox. Forward-only: a part once released is never edited; base/db.h tells how it is run.
-- version 1
CREATE TABLE boxes (
	name TEXT PRIMARY KEY,
	run TEXT NOT NULL,
	cloud TEXT NOT NULL,
	image TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('wanted', 'created', 'active', 'deleting', 'gone')),
	id TEXT NOT NULL DEFAULT '',
	address TEXT NOT NULL DEFAULT '',
	port INTEGER NOT NULL DEFAULT 0,
	user TEXT NOT NULL,
	host_key TEXT NOT NULL,
	key_path TEXT NOT NULL,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	ended INTEGER,
	kept INTEGER NOT NULL DEFAULT 0,
	owner_pid INTEGER NOT NULL DEFAULT 0,
	owner_start INTEGER NOT NULL DEFAULT 0
);
-- A run: one plan on one box. `received` is how many bytes of the box's journal are in the store, `walker` where their
-- reader stood behind them (migrations/walk.c).
CREATE TABLE runs (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	recipe TEXT NOT NULL,
	variant TEXT NOT NULL DEFAULT '',
	box TEXT NOT NULL,
	nonce TEXT NOT NULL,
	status TEXT NOT NULL,
	detail TEXT NOT NULL DEFAULT '',
	tool TEXT NOT NULL DEFAULT '',
	engine TEXT NOT NULL DEFAULT '',
	started INTEGER NOT NULL,
	ended INTEGER,
	received INTEGER NOT NULL DEFAULT 0,
	walker TEXT NOT NULL DEFAULT '',
	owner_pid INTEGER NOT NULL DEFAULT 0,
	owner_start INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE tasks (
	run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
	n INTEGER NOT NULL,
	kind TEXT NOT NULL,
	title TEXT NOT NULL,
	rc INTEGER,
	why TEXT NOT NULL DEFAULT '',
	ms INTEGER,
	PRIMARY KEY (run, n)
);
-- n 0 is the state before the first step. `version` is what the step is about (down: what it undoes), `target` where the
-- database is to be after it (down: known once the next step begins), `versions` what was read back, one a line.
CREATE TABLE steps (
	run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
	n INTEGER NOT NULL,
	version TEXT NOT NULL,
	direction TEXT NOT NULL,
	target TEXT NOT NULL DEFAULT '',
	outcome TEXT NOT NULL DEFAULT '',
	rc INTEGER,
	why TEXT NOT NULL DEFAULT '',
	ms INTEGER,
	versions TEXT NOT NULL DEFAULT '',
	dump TEXT,
	counts TEXT NOT NULL DEFAULT '',
	changes TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (run, n)
);
-- What tasks (kind 't') and steps (kind 's') printed, in pieces as they came; raw bytes, made safe when shown.
CREATE TABLE output (
	run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
	kind TEXT NOT NULL,
	n INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	data BLOB NOT NULL,
	PRIMARY KEY (run, kind, n, seq)
);
-- Dumps by SHA-256 of the plain bytes, zstd-compressed; `base` names the blob that served as dictionary, if any.
CREATE TABLE blobs (
	sha256 TEXT PRIMARY KEY,
	size INTEGER NOT NULL,
	base TEXT,
	depth INTEGER NOT NULL DEFAULT 0,
	data BLOB NOT NULL
);
CREATE INDEX runs_started ON runs (started);
CREATE INDEX steps_dump ON steps (dump);
-- version 2
-- Clouds with an account. `account`: whose boxes they are (cloud/session.h: os_account), so that an edited clouds.yaml never
-- makes another project's 404 look like "gone"; `asked`: wall second when the create request left, 0 before.
ALTER TABLE boxes ADD COLUMN account TEXT NOT NULL DEFAULT '';
ALTER TABLE boxes ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
-- What boxes need besides their server, made by us: security groups, floating IPs, volumes. One part may serve several boxes;
-- it goes with the last of them. `name` is how it is found in the cloud while its id is not known.
CREATE TABLE parts (
	n INTEGER PRIMARY KEY AUTOINCREMENT,
	kind TEXT NOT NULL CHECK (kind IN ('security_group', 'floating_ip', 'volume')),
	name TEXT NOT NULL,
	cloud TEXT NOT NULL,
	account TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('wanted', 'created', 'deleting', 'gone')),
	id TEXT NOT NULL DEFAULT '',
	asked INTEGER NOT NULL
);
CREATE TABLE part_uses (
	part INTEGER NOT NULL REFERENCES parts(n) ON DELETE CASCADE,
	box TEXT NOT NULL,
	PRIMARY KEY (part, box)
);
CREATE INDEX part_uses_box ON part_uses (box);
-- Which store this is: metadata of servers tells it, so that gc knows what only this store can have made.
CREATE TABLE identity (store TEXT NOT NULL);
INSERT INTO identity VALUES (lower(hex(randomblob(8))));
-- version 3
-- Comparing. `model`: blob of what the database's catalogue says of the schema ('' where the dump says it all); `net_ms`: the
-- step without the start-up of its tool (NULL: not known); `commit_id`: the commit whose code ran it ('': the source as it is);
-- `leg` of a round trip: 1 up, 2 down, 3 up again, 4 put back (0: none), `trip` what became of it, on the leg that ended it; `findings` and `work` and `seeded` in lines (migrations/store.h).
ALTER TABLE steps ADD COLUMN model TEXT;
ALTER TABLE steps ADD COLUMN net_ms INTEGER;
ALTER TABLE steps ADD COLUMN commit_id TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN leg INTEGER NOT NULL DEFAULT 0;
ALTER TABLE steps ADD COLUMN trip TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN findings TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN work TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN seeded TEXT NOT NULL DEFAULT '';
-- Which machine the run was on, by its own word: /etc/machine-id and the kernel's boot id.
ALTER TABLE runs ADD COLUMN machine TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN boot TEXT NOT NULL DEFAULT '';
-- The files of each version as the run's checkout had them, by git's blob hash.
CREATE TABLE migration_files (
	run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
	version TEXT NOT NULL,
	path TEXT NOT NULL,
	blob TEXT NOT NULL,
	PRIMARY KEY (run, version, path)
);
CREATE INDEX steps_model ON steps (model);
