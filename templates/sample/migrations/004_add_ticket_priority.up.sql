-- 1 is the most urgent.
ALTER TABLE tickets ADD COLUMN priority INTEGER NOT NULL DEFAULT 3;
