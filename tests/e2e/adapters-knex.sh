#!/bin/sh
# Knex on a box: up, down, ranges, a migration that does not end well, a name that is not there, a silent no-op.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/adapters.sh
. "$OLDPWD/tests/e2e/lib/adapters.sh"
needs_boxes
mkdir -p project/migrations
npm_modules project knex@3.3.0 better-sqlite3@npm:libsql@0.5.29
cat >project/knexfile.js <<'JS'
module.exports = {client: 'better-sqlite3', connection: {filename: process.env.DB_FILE}, useNullAsDefault: true};
JS
migration() { # NAME UP DOWN
	printf 'exports.up = async (knex) => { %s };\nexports.down = async (knex) => { %s };\n' "$2" "$3" >"project/migrations/$1.js"
}
migration 20200101000000_customers "await knex.schema.createTable('customers', (t) => { t.increments('id'); t.string('name').notNullable(); });" \
	"await knex.schema.dropTable('customers');"
migration 20200102000000_orders "await knex.schema.createTable('orders', (t) => { t.increments('id');
	t.integer('customer_id').notNullable().references('id').inTable('customers').onDelete('CASCADE'); t.decimal('total', 10, 2); });" \
	"await knex.schema.dropTable('orders');"
migration 20200103000000_by_name "await knex.schema.alterTable('customers', (t) => { t.index(['name'], 'customers_by_name'); });" \
	"await knex.schema.alterTable('customers', (t) => { t.dropIndex(['name'], 'customers_by_name'); });"
migration 20200104000000_first "await knex('customers').insert([{name: 'Ada'}, {name: 'Grace'}]);" "await knex('customers').del();"
migration 20200105000000_email "await knex.schema.alterTable('customers', (t) => { t.string('email').defaultTo('none'); });" \
	"throw new Error('irreversible');"
migration 20200106000000_broken "await knex.schema.createTable('half', (t) => { t.increments('id'); }); await knex.raw('CREATE TABLE half (x)');" ""
cat >project/stepbox.yaml <<'YAML'
name: t
box: {ttl: 20m}
source: {path: .}
packages: [nodejs]
env: {DB_FILE: "${database.file}"}
migrations: {tool: knex}
YAML
knex="DB_FILE=/tmp/typed.sqlite node_modules/.bin/knex"
typed_up() { typed "$knex migrate:up $1"; }
typed_down() { typed "$knex migrate:down"; }
has_down=1
# shellcheck disable=SC2016 # for the box
noop='if [ "$VERSION" = 20200104000000_first.js ]; then node_modules/.bin/knex migrate:to 20200102000000_orders.js; else node_modules/.bin/knex migrate:up "$VERSION"; fi'
exercise 20200101000000_customers.js 20200102000000_orders.js 20200103000000_by_name.js 20200104000000_first.js \
	20200105000000_email.js 20200106000000_broken.js
