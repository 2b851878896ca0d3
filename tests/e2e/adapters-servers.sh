#!/bin/sh
# The same tools on MariaDB and PostgreSQL: the database as each tool wants it said leads to the recipe's own server; a walk up
# and down again, dumps equal on both ways.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/adapters.sh
. "$OLDPWD/tests/e2e/lib/adapters.sh"
needs_boxes

# Up to $1 and back: each dump is the one of before.
there_and_back() { # RECIPE-DIRECTORY LAST DATABASE
	what="$1 on $3"
	(cd "$1" && "$STEPBOX" up --set "database=$3" >../out 2>../err) || die "$what: up: $(cat out err)"
	box=$("$STEPBOX" ls --boxes | awk 'NR == 2 { print $1 }')
	"$STEPBOX" step "$box" --to "$2" --json >up.json 2>err || die "$what: up: $("$STEPBOX" log last)"
	"$STEPBOX" step "$box" --to base --json >down.json 2>err || [ $? = 1 ] || die "$what: down: $("$STEPBOX" log last)"
	python3 - "$what" <<'PY'
import json, sys
def steps(name):
    return [o for o in map(json.loads, open(name)) if o.get("event") == "step"]
up, down = steps("up.json"), steps("down.json")
assert [s["outcome"] for s in up[1:] + down[1:]] == ["applied", "applied", "applied-empty"] + ["applied-empty", "applied", "applied"], (sys.argv[1], up, down)
assert [v["version"] for v in down[1:]] == [v["version"] for v in up[:0:-1]], (sys.argv[1], up, down)
dump = {s["version"]: s["dump_sha256"] for s in up}
order = [s["version"] for s in up]
for step, at in zip(down[1:], order[-2:0:-1]):
    assert step["dump_sha256"] == dump[at], (sys.argv[1], step["version"], at)
assert up[3]["rows"]["customers"] == 2 and down[1]["rows"]["customers"] == 0, (sys.argv[1], up[3], down[1])
PY
	"$STEPBOX" down "$box" >/dev/null
}

mkdir -p dbmate/db/migrations
npm_modules dbmate dbmate@2.36.0
for_dbmate() { # FILE UP DOWN
	printf -- '-- migrate:up\n%s\n\n-- migrate:down\n%s\n' "$2" "$3" >"dbmate/db/migrations/$1.sql"
}
for_dbmate 1_customers 'CREATE TABLE customers (id int PRIMARY KEY, name varchar(80) NOT NULL);' 'DROP TABLE customers;'
for_dbmate 2_by_name 'CREATE INDEX customers_by_name ON customers (name);' 'ALTER TABLE customers DROP INDEX customers_by_name;'
for_dbmate 3_first "INSERT INTO customers (id, name) VALUES (1, 'Ada'), (2, 'Grace');" 'DELETE FROM customers;'
printf 'name: dbmate\nsource: {path: .}\nmigrations: {tool: dbmate, command: node_modules/@dbmate/linux-x64/bin/dbmate}\n' >dbmate/stepbox.yaml
there_and_back dbmate 3 mariadb
for_dbmate 2_by_name 'CREATE INDEX customers_by_name ON customers (name);' 'DROP INDEX customers_by_name;'
there_and_back dbmate 3 postgresql

mkdir -p sequelize/migrations
npm_modules sequelize sequelize@6.37.8 sequelize-cli@6.6.5 pg@8.16.3 mysql2@3.15.3
for_sequelize() {
	printf 'module.exports = {up: async (q, S) => { %s }, down: async (q) => { %s }};\n' "$2" "$3" >"sequelize/migrations/$1.js"
}
for_sequelize 1-customers "await q.createTable('customers', {id: {type: S.INTEGER, primaryKey: true}, name: {type: S.STRING, allowNull: false}});" "await q.dropTable('customers');"
for_sequelize 2-by-name "await q.addIndex('customers', ['name'], {name: 'customers_by_name'});" "await q.removeIndex('customers', 'customers_by_name');"
for_sequelize 3-first "await q.bulkInsert('customers', [{id: 1, name: 'Ada'}, {id: 2, name: 'Grace'}]);" "await q.bulkDelete('customers', {});"
printf 'name: sequelize\nsource: {path: .}\npackages: [nodejs]\nmigrations: {tool: sequelize}\n' >sequelize/stepbox.yaml
there_and_back sequelize 3-first.js mariadb
there_and_back sequelize 3-first.js postgresql

mkdir -p rails/db/migrate rails/config rails/bin
printf "require 'rails'\nrequire 'active_record/railtie'\nmodule Shop; class Application < Rails::Application; config.load_defaults 6.1; config.eager_load = false; end; end\n" \
	>rails/config/application.rb
echo "require_relative 'application'; Rails.application.initialize!" >rails/config/environment.rb
echo "require_relative 'config/application'; Rails.application.load_tasks" >rails/Rakefile
printf "APP_PATH = File.expand_path('../config/application', __dir__)\nrequire_relative '../config/boot'\nrequire 'rails/commands'\n" >rails/bin/rails
printf "ENV['BUNDLE_GEMFILE'] ||= File.expand_path('../Gemfile', __dir__)\nrequire 'bundler/setup'\n" >rails/config/boot.rb
printf "source 'https://rubygems.org'\ngem 'railties'\ngem 'activerecord'\ngem 'pg'\ngem 'mysql2'\n" >rails/Gemfile
echo 'development: {adapter: none}' >rails/config/database.yml
for_rails() {
	printf 'class %s < ActiveRecord::Migration[6.1]\n%s\nend\n' "$2" "$3" >"rails/db/migrate/$1.rb"
}
for_rails 1_customers Customers 'def change; create_table(:customers) { |t| t.string :name, null: false }; end'
for_rails 2_by_name ByName 'def change; add_index :customers, :name; end'
for_rails 3_first First "def up; execute %q(INSERT INTO customers (name) VALUES ('Ada'), ('Grace')); end
def down; execute 'DELETE FROM customers'; end"
printf 'name: rails\nsource: {path: .}\npackages: [ruby-bundler, ruby-railties, ruby-activerecord, ruby-pg, ruby-mysql2]\nmigrations: {tool: rails}\n' >rails/stepbox.yaml
there_and_back rails 3 mariadb
there_and_back rails 3 postgresql
nothing_left
