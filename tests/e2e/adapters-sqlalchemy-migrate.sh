#!/bin/sh
# sqlalchemy-migrate on a box: Python and SQL, up, down, ranges, a refusal, a migration that does not end well.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/adapters.sh
. "$OLDPWD/tests/e2e/lib/adapters.sh"
needs_boxes
mkdir -p project/repo/versions
printf '[db_settings]\nrepository_id=shop\nversion_table=migrate_version\nrequired_dbs=[]\nuse_timestamp_numbering=False\n' >project/repo/migrate.cfg
touch project/repo/__init__.py project/repo/versions/__init__.py
migration() { # FILE UP DOWN
	printf 'from sqlalchemy import *\ndef upgrade(engine):\n    meta = MetaData(bind=engine)\n    %s\ndef downgrade(engine):\n    meta = MetaData(bind=engine)\n    %s\n' \
		"$2" "$3" >"project/repo/versions/$1.py"
}
migration 216_customers 'Table("customers", meta, Column("id", Integer, primary_key=True), Column("name", String(80), nullable=False)).create()' \
	'Table("customers", meta, autoload=True).drop()'
echo 'CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id));' >project/repo/versions/217_orders_sqlite_upgrade.sql
echo 'DROP TABLE orders;' >project/repo/versions/217_orders_sqlite_downgrade.sql
migration 218_by_name 'Index("customers_by_name", Table("customers", meta, autoload=True).c.name).create()' \
	'engine.execute("DROP INDEX customers_by_name")'
migration 219_first "engine.execute(\"INSERT INTO customers (name) VALUES ('Ada'), ('Grace')\")" 'engine.execute("DELETE FROM customers")'
migration 220_email 'engine.execute("ALTER TABLE customers ADD COLUMN email VARCHAR")' 'raise NotImplementedError()'
migration 221_broken 'engine.execute("CREATE TABLE half (x)"); engine.execute("CREATE TABLE half (x)")' pass
cat >project/stepbox.yaml <<'YAML'
name: t
box: {ttl: 20m}
source: {path: .}
packages: [python3-migrate]
migrations: {tool: sqlalchemy-migrate, repository: repo}
YAML
here init -o - >out
grep -q 'tool: sqlalchemy-migrate' out || die "init: $(cat out)"
api="import os; from migrate.versioning import api; a = 'sqlite:////tmp/typed.sqlite', 'repo'"
typed_up() {
	[ "$1" != 216 ] || typed "python3 -c \"$api; api.version_control(*a, 215)\""
	typed "python3 -c \"$api; api.upgrade(*a, $1)\""
}
typed_down() {
	target=$2
	[ "$target" != base ] || target=215
	typed "python3 -c \"$api; api.downgrade(*a, $target)\""
}
has_down=1
noop=
exercise 216 217 218 219 220 221
