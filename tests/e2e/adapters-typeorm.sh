#!/bin/sh
# TypeORM on a box: up to a version it has no command for, down, ranges, a migration that does not end well.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/adapters.sh
. "$OLDPWD/tests/e2e/lib/adapters.sh"
needs_boxes
mkdir -p project/src/migrations
npm_modules project typeorm@0.3.31 better-sqlite3@npm:libsql@0.5.29
# MIGRATIONS: a pattern, for those who type. synchronize must not come into play.
cat >project/src/data-source.js <<'JS'
const {DataSource} = require('typeorm');
module.exports.AppDataSource = new DataSource({type: 'better-sqlite3', database: process.env.DB_FILE, synchronize: true,
	migrations: [__dirname + '/migrations/' + (process.env.MIGRATIONS || '*.js')]});
console.log('a module that talks');
JS
migration() { # STAMP NAME UP DOWN
	printf 'module.exports.%s = class %s%s {\n\tasync up(q) { %s }\n\tasync down(q) { %s }\n};\n' "$2" "$2" "$1" "$3" "$4" \
		>"project/src/migrations/$1-$2.js"
}
migration 1577836800001 Customers "await q.query('CREATE TABLE customers (id integer PRIMARY KEY AUTOINCREMENT NOT NULL, name varchar NOT NULL)');" \
	"await q.query('DROP TABLE customers');"
migration 1577836800002 Orders "await q.query('CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer REFERENCES customers (id))');" \
	"await q.dropTable('orders');"
migration 1577836800003 ByName "await q.query('CREATE INDEX customers_by_name ON customers (name)');" "await q.query('DROP INDEX customers_by_name');"
migration 1577836800004 First "for (const n of ['Ada', 'Grace']) await q.query('INSERT INTO customers (name) VALUES (?)', [n]);" \
	"await q.query('DELETE FROM customers');"
migration 1577836800005 Email "await q.query('ALTER TABLE customers ADD COLUMN email varchar DEFAULT 2');" "throw new Error('irreversible');"
migration 1577836800006 Broken "await q.query('CREATE TABLE half (x)'); await q.query('CREATE TABLE half (x)');" ""
cat >project/stepbox.yaml <<'YAML'
name: t
box: {ttl: 20m}
source: {path: .}
packages: [nodejs]
env: {DB_FILE: "${database.file}"}
migrations: {tool: typeorm}
YAML
here init -o - >out
grep -q 'tool: typeorm' out || die "init: $(cat out)"
# Those up to it, by a pattern.
typed_up() { typed "DB_FILE=/tmp/typed.sqlite MIGRATIONS='157783680000[1-${1#"${1%?}"}]-*.js' node_modules/.bin/typeorm migration:run -d src/data-source.js"; }
typed_down() { typed "DB_FILE=/tmp/typed.sqlite node_modules/.bin/typeorm migration:revert -d src/data-source.js"; }
has_down=1
noop=
exercise Customers1577836800001 Orders1577836800002 ByName1577836800003 First1577836800004 Email1577836800005 Broken1577836800006
