#!/bin/sh
# sequelize-cli on a box: up, down, ranges, a migration that does not end well, a name that is not there, a silent no-op.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/adapters.sh
. "$OLDPWD/tests/e2e/lib/adapters.sh"
needs_boxes
mkdir -p project/migrations project/config
npm_modules project sequelize@6.37.8 sequelize-cli@6.6.5
echo '{"development": {"dialect": "sqlite", "storage": "elsewhere.sqlite"}}' >project/config/config.json
echo '{"private": true, "dependencies": {"sequelize": "6.37.8"}}' >project/package.json
migration() { # NAME UP DOWN
	printf 'module.exports = {up: async (queryInterface, Sequelize) => { %s }, down: async (queryInterface) => { %s }};\n' "$2" "$3" \
		>"project/migrations/$1.js"
}
migration 20200101000000-customers "await queryInterface.createTable('customers', {id: {type: Sequelize.INTEGER, primaryKey: true,
	autoIncrement: true}, name: {type: Sequelize.STRING, allowNull: false}});" "await queryInterface.dropTable('customers');"
migration 20200102000000-orders "await queryInterface.createTable('orders', {id: {type: Sequelize.INTEGER, primaryKey: true},
	customer_id: {type: Sequelize.INTEGER, references: {model: 'customers', key: 'id'}, onDelete: 'CASCADE'},
	total: Sequelize.DECIMAL(10, 2)});" "await queryInterface.dropTable('orders');"
migration 20200103000000-by-name "await queryInterface.addIndex('customers', ['name'], {name: 'customers_by_name'});" \
	"await queryInterface.removeIndex('customers', 'customers_by_name');"
migration 20200104000000-first "await queryInterface.bulkInsert('customers', [{name: 'Ada'}, {name: 'Grace'}]);" \
	"await queryInterface.bulkDelete('customers', {});"
migration 20200105000000-email "await queryInterface.addColumn('customers', 'email', {type: Sequelize.STRING, defaultValue: 'none'});" \
	"throw new Error('irreversible');"
migration 20200106000000-broken "await queryInterface.createTable('half', {id: {type: Sequelize.INTEGER, primaryKey: true}});
	await queryInterface.sequelize.query('CREATE TABLE half (x)');" ""
cat >project/stepbox.yaml <<'YAML'
name: t
box: {ttl: 20m}
source: {path: .}
packages: [nodejs, node-sqlite3] # Debian builds the driver, npm would fetch it elsewhere
migrations: {tool: sequelize}
YAML
here init -o - >out
grep -q 'tool: sequelize' out || die "init: $(cat out)"
cli="node_modules/.bin/sequelize-cli --url sqlite:/tmp/typed.sqlite"
typed_up() { typed "$cli db:migrate --to $1"; }
typed_down() { typed "$cli db:migrate:undo"; }
has_down=1
# shellcheck disable=SC2016 # for the box
noop='V=$VERSION; [ $V != 20200104000000-first.js ] || V=20200102000000-orders.js; node_modules/.bin/sequelize-cli --url sqlite:${database.file} db:migrate --to $V'
exercise 20200101000000-customers.js 20200102000000-orders.js 20200103000000-by-name.js 20200104000000-first.js \
	20200105000000-email.js 20200106000000-broken.js
