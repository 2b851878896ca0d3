#!/bin/sh
# dbmate on a box: up to a version it has no command for, down, ranges, a migration that does not end well.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/adapters.sh
. "$OLDPWD/tests/e2e/lib/adapters.sh"
needs_boxes
mkdir -p project/db/migrations
npm_modules project dbmate@2.36.0
migration() { # NAME UP DOWN
	printf -- '-- migrate:up\n%s\n\n-- migrate:down\n%s\n' "$2" "$3" >"project/db/migrations/$1.sql"
}
migration 20200101000000_customers 'CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);' 'DROP TABLE customers;'
migration 20200102000000_orders 'CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id));' 'DROP TABLE orders;'
migration 20200103000000_by_name 'CREATE INDEX customers_by_name ON customers (name);' 'DROP INDEX customers_by_name;'
migration 20200104000000_first "INSERT INTO customers (name) VALUES ('Ada'), ('Grace');" 'DELETE FROM customers;'
migration 20200105000000_email "ALTER TABLE customers ADD COLUMN email TEXT DEFAULT 'none';" 'SELECT has_no_way_down;'
migration 20200106000000_broken 'CREATE TABLE half (x); CREATE TABLE half (x);' ''
cat >project/stepbox.yaml <<'YAML'
name: t
box: {ttl: 20m}
source: {path: .}
migrations:
  tool: dbmate
  command: node_modules/@dbmate/linux-x64/bin/dbmate
  refused: has_no_way_down
YAML
here init -o - >out
grep -q 'tool: dbmate' out || die "init: $(cat out)"
dbmate="node_modules/@dbmate/linux-x64/bin/dbmate --url sqlite:/tmp/typed.sqlite --no-dump-schema"
typed_up() { typed "mkdir -p /tmp/k && cp db/migrations/$1_* /tmp/k && $dbmate -d /tmp/k migrate"; }
typed_down() { typed "$dbmate rollback"; }
has_down=1
noop=
exercise 20200101000000 20200102000000 20200103000000 20200104000000 20200105000000 20200106000000
