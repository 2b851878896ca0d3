#!/bin/sh
# Rails on a box: db:migrate to a version up and down, ranges, an irreversible migration, one that does not end well.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/adapters.sh
. "$OLDPWD/tests/e2e/lib/adapters.sh"
needs_boxes
mkdir -p project/db/migrate project/config project/bin
cat >project/config/application.rb <<'RB'
require 'rails'
require 'active_record/railtie'
module Shop
  class Application < Rails::Application
    config.load_defaults 6.1
    config.eager_load = false
  end
end
RB
echo "require_relative 'application'; Rails.application.initialize!" >project/config/environment.rb
echo "require_relative 'config/application'; Rails.application.load_tasks" >project/Rakefile
printf "APP_PATH = File.expand_path('../config/application', __dir__)\nrequire_relative '../config/boot'\nrequire 'rails/commands'\n" >project/bin/rails
printf "ENV['BUNDLE_GEMFILE'] ||= File.expand_path('../Gemfile', __dir__)\nrequire 'bundler/setup'\n" >project/config/boot.rb
printf "source 'https://rubygems.org'\ngem 'railties'\ngem 'activerecord'\ngem 'sqlite3'\n" >project/Gemfile
echo 'development: {adapter: sqlite3, database: db/elsewhere.sqlite3}' >project/config/database.yml
migration() { # FILE CLASS BODY
	printf 'class %s < ActiveRecord::Migration[6.1]\n%s\nend\n' "$2" "$3" >"project/db/migrate/$1.rb"
}
migration 001_create_customers CreateCustomers 'def change; create_table(:customers) { |t| t.string :name, null: false }; end'
migration 20200102000000_create_orders CreateOrders 'def change; create_table(:orders) { |t| t.references :customer, foreign_key: true; t.decimal :total, precision: 10, scale: 2 }; end'
migration 20200103000000_index_customers IndexCustomers 'def change; add_index :customers, :name; end'
migration 20200104000000_first_customers FirstCustomers "def up; execute %q(INSERT INTO customers (name) VALUES ('Ada'), ('Grace')); end
def down; execute 'DELETE FROM customers'; end"
migration 20200105000000_add_email AddEmail "def up; add_column :customers, :email, :string, default: 'none'; end
def down; raise ActiveRecord::IrreversibleMigration; end"
migration 20200106000000_broken Broken "def change; create_table(:half); execute 'CREATE TABLE half (x)'; end"
echo 'not a migration' >project/db/migrate/README
cat >project/stepbox.yaml <<'YAML'
name: t
box: {ttl: 20m}
source: {path: .}
packages: [ruby-bundler, ruby-railties, ruby-activerecord, ruby-sqlite3]
migrations: {tool: rails}
YAML
here init -o - >out
grep -q 'tool: rails' out || die "init: $(cat out)"
rails="SCHEMA=/tmp/schema.rb DATABASE_URL=sqlite3:/tmp/typed.sqlite ruby bin/rails db:migrate"
typed_up() { typed "$rails VERSION=$1"; }
typed_down() {
	target=$2
	[ "$target" != base ] || target=0
	typed "$rails VERSION=$target"
}
has_down=1
# shellcheck disable=SC2016 # for the box
noop='V=$VERSION; [ $V != 20200104000000 ] || V=20200103000000; DATABASE_URL=${tool.url} ruby bin/rails db:migrate VERSION=$V'
exercise 1 20200102000000 20200103000000 20200104000000 20200105000000 20200106000000
