ALTER TABLE customers ADD COLUMN name TEXT NOT NULL DEFAULT '';
UPDATE customers SET name = trim(first_name || ' ' || last_name);
ALTER TABLE customers DROP COLUMN first_name;
ALTER TABLE customers DROP COLUMN last_name;
