#!/bin/sh
# Prisma on a box: up to a version it has no command for, ranges, a migration that does not end well; there is no way down.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/adapters.sh
. "$OLDPWD/tests/e2e/lib/adapters.sh"
needs_boxes
mkdir -p project/prisma/migrations
npm_modules project prisma@6.19.0 @prisma/adapter-libsql@6.19.0
printf 'datasource db {\n  provider = "sqlite"\n  url      = env("DATABASE_URL")\n}\nmodel customers {\n  id Int @id\n}\n' \
	>project/prisma/schema.prisma
echo 'provider = "sqlite"' >project/prisma/migrations/migration_lock.toml
cat >project/prisma.config.ts <<'TS'
import { defineConfig } from 'prisma/config';
import { PrismaLibSQL } from '@prisma/adapter-libsql';
export default defineConfig({
  schema: 'prisma/schema.prisma',
  experimental: { adapter: true },
  engine: 'js',
  async adapter() { return new PrismaLibSQL({ url: process.env.DATABASE_URL }); },
});
TS
migration() { # NAME SQL
	mkdir "project/prisma/migrations/$1"
	echo "$2" >"project/prisma/migrations/$1/migration.sql"
}
migration 20200101000000_customers 'CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);'
migration 20200102000000_orders 'CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id));'
migration 20200103000000_by_name 'CREATE INDEX customers_by_name ON customers (name);'
migration 20200104000000_first "INSERT INTO customers (name) VALUES ('Ada'), ('Grace');"
migration 20200105000000_email "ALTER TABLE customers ADD COLUMN email TEXT DEFAULT 'none';"
migration 20200106000000_broken 'CREATE TABLE half (x); CREATE TABLE half (x);'
# The engine inside of the package is used; where the others would be is only said so that nothing is looked for elsewhere.
cat >project/stepbox.yaml <<'YAML'
name: t
box: {ttl: 20m}
source: {path: .}
packages: [nodejs]
env: {PRISMA_QUERY_ENGINE_LIBRARY: /bin/true, PRISMA_SCHEMA_ENGINE_BINARY: /bin/true}
migrations: {tool: prisma}
YAML
here init -o - >out
grep -q 'tool: prisma' out || die "init: $(cat out)"
# Later ones are away while it runs.
typed_up() {
	typed "mkdir -p /tmp/later && mv prisma/migrations/2* /tmp/later
	for d in /tmp/later/*; do m=\${d##*/}; [ \"\$m\" \\> $1 ] || mv \$d prisma/migrations/; done
	DATABASE_URL=file:/tmp/typed.sqlite PRISMA_QUERY_ENGINE_LIBRARY=/bin/true PRISMA_SCHEMA_ENGINE_BINARY=/bin/true node_modules/.bin/prisma migrate deploy
	mv /tmp/later/* prisma/migrations/"
}
has_down=
noop=
exercise 20200101000000_customers 20200102000000_orders 20200103000000_by_name 20200104000000_first 20200105000000_email \
	20200106000000_broken
if here run --from 20200102000000_orders --to 20200101000000_customers >out 2>err; then die "prisma went down"; fi
grep -q 'prisma cannot go down' err || die "down: $(cat err)"
nothing_left
