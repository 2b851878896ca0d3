#!/bin/sh
# One schema on three engines, each in its own spelling: diff sees no difference but those that are made. Then exit codes,
# --ignore, --equate, --table, --strict, JSON.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
mkdir -p project/migrations/sqlite project/migrations/mysql project/migrations/postgresql
cd project
# $1: the key, $2: a boolean, $3: text, $4: JSON, $5: bytes, $6: a point in time, $7: an enumeration, $8: an address
schema() {
	cat <<-SQL
		CREATE TABLE hosts (id $1, uuid VARCHAR(36) NOT NULL, name VARCHAR(255), PRIMARY KEY (id),
			CONSTRAINT uniq_hosts0uuid UNIQUE (uuid));
		CREATE TABLE instances (
			created_at $6, id $1, host_uuid VARCHAR(36) NOT NULL, deleted $2 NOT NULL DEFAULT $9,
			ratio FLOAT DEFAULT 1.0, price NUMERIC(10, 2) DEFAULT 0, state VARCHAR(7) DEFAULT 'active', locked_by $7,
			user_data $3, extra $4, payload $5, big BIGINT, small SMALLINT, launched $6 DEFAULT CURRENT_TIMESTAMP,
			ip $8, code CHAR(2), d DATE, t TIME, note VARCHAR(10) DEFAULT 'it''s',
			PRIMARY KEY (id),
			CONSTRAINT state_ok CHECK (state IN ('active', 'stopped')),
			CONSTRAINT ratio_ok CHECK (ratio > 0 AND ratio <= 100),
			FOREIGN KEY (host_uuid) REFERENCES hosts (uuid) ON DELETE CASCADE
		);
		CREATE INDEX instances_state_idx ON instances (state, big DESC);
		CREATE UNIQUE INDEX uniq_code ON instances (code, small);
		CREATE VIEW v AS SELECT id, uuid FROM hosts;
	SQL
}
schema 'INTEGER NOT NULL' BOOLEAN TEXT JSON BLOB DATETIME 'VARCHAR(5)' 'VARCHAR(39)' 0 >migrations/sqlite/1.up.sql
schema 'INTEGER NOT NULL AUTO_INCREMENT' BOOL MEDIUMTEXT JSON BLOB DATETIME "ENUM('owner', 'admin')" 'VARCHAR(39)' \
	false >migrations/mysql/1.up.sql
{
	echo "CREATE TYPE lockers AS ENUM ('owner', 'admin');"
	schema 'SERIAL NOT NULL' BOOLEAN TEXT JSONB BYTEA TIMESTAMP lockers INET false
} >migrations/postgresql/1.up.sql
# Step 2 is not the same everywhere; step 3 only changes names and comments.
echo 'ALTER TABLE hosts ADD COLUMN slots INTEGER; CREATE INDEX hosts_name ON hosts (name, uuid);' >migrations/sqlite/2.up.sql
echo 'ALTER TABLE hosts ADD COLUMN slots BIGINT NOT NULL; CREATE INDEX hosts_name ON hosts (uuid, name);' >migrations/mysql/2.up.sql
echo 'ALTER TABLE hosts ADD COLUMN slots INTEGER; CREATE INDEX hosts_name ON hosts (name, uuid);' >migrations/postgresql/2.up.sql
echo 'SELECT 1;' >migrations/sqlite/3.up.sql
echo "ALTER TABLE hosts COMMENT 'where instances are'; ALTER TABLE hosts RENAME INDEX uniq_hosts0uuid TO u;" >migrations/mysql/3.up.sql
echo "COMMENT ON TABLE hosts IS 'where instances are'; ALTER TABLE hosts RENAME CONSTRAINT uniq_hosts0uuid TO u;" >migrations/postgresql/3.up.sql
cat >stepbox.yaml <<'EOF'
name: d
box: {ttl: 20m}
source: {path: .}
database: sqlite
migrations: {tool: plain-sql}
EOF
"$STEPBOX" run --vary database=sqlite,mariadb,postgresql >../out 2>&1 || die "run: exit $?: $(cat ../out)"
cd ..
# Each engine's step is told in the same words while it runs, and later.
for run in d-1 d-2 d-3; do
	grep -q "^$run: .* 2 .*applied.*+ column slots on hosts, + index hosts_name on hosts" out || die "step 2 of $run: $(cat out)"
	"$STEPBOX" show $run --json | grep -q '"hosts: + index hosts_name (' || die "changes of $run: $("$STEPBOX" show $run --json)"
done
sqlite=d-1 mariadb=d-2 postgresql=d-3

# $1: exit code; the rest: arguments of diff. Its output is in ./d.
diff_says() {
	want=$1
	shift
	rc=0
	"$STEPBOX" diff "$@" >d 2>&1 || rc=$?
	[ $rc = "$want" ] || die "diff $*: exit $rc: $(cat d)"
}
has() {
	grep -qF -- "$1" d || die "no '$1': $(cat d)"
}
for pair in "$sqlite:1 $mariadb:1" "$mariadb:1 $postgresql:1" "$sqlite:1 $postgresql:1"; do
	# shellcheck disable=SC2086
	diff_says 0 $pair
	has ': 0 structural, '
	has ', 0 unmodelled'
	! grep -q '^@@' d || die "text diff of two engines: $(cat d)"
done
diff_says 0 $sqlite:1 $mariadb:1
has 'instances: + index host_uuid (host_uuid), for a foreign key'
diff_says 1 $sqlite:2 $mariadb:2
has '3 structural'
has 'hosts: ~ column slots: INTEGER → bigint(20)'
has 'hosts: ~ column slots: NULL → NOT NULL'
has 'hosts: ~ index hosts_name (name, uuid) → (uuid, name)'
diff_says 0 $sqlite:2 $postgresql:2
diff_says 0 $sqlite:2 $mariadb:2 --ignore type,null,index-order
has '0 structural, '
has '3 ignored'
diff_says 0 $sqlite:2 $mariadb:2 --table instances
diff_says 1 $sqlite:2 $mariadb:2 --table HOSTS
has '3 structural, 0 cosmetic'
diff_says 2 $sqlite:2 $mariadb:2 --table nosuch
has 'nosuch: no such table'
diff_says 2 $sqlite:2 $mariadb:2 --ignore nul
has 'did you mean null?'
diff_says 2 $sqlite:2 $mariadb:2 --equate int
diff_says 2 $sqlite:2 $mariadb:2 --text
# Cosmetic on one engine, until --strict.
for run in $mariadb $postgresql; do
	diff_says 0 $run:2 $run:3
	has '0 structural, 2 cosmetic'
	has 'hosts: ~ comment () → (where instances are)'
	has 'uniq_hosts0uuid → u (renamed?)'
	diff_says 1 $run:2 $run:3 --strict --structure
	has '2 structural'
	diff_says 1 $run:2 $run:3 --text
	has '@@'
done
diff_says 0 $sqlite:2 $sqlite:3
[ ! -s d ] || die "the same prints: $(cat d)"
if "$STEPBOX" diff $sqlite:2 $mariadb:2 --json >j; then die "JSON: exit 0"; fi
python3 - <<'EOF'
import json
d = json.load(open("j"))
assert d["same"] is False and d["structural"] == 3 and d["unmodelled"] == 0, d
assert d["a"]["engine"] == "sqlite" and d["b"]["engine"] == "mariadb" and len(d["a"]["schema"]) == 64, d
order = [c for c in d["changes"] if c["field"] == "index-order"][0]
assert order["op"] == "change" and order["kind"] == "index" and order["table"] == "hosts", order
assert order["name"] == "hosts_name" and order["a"] == "(name, uuid)" and order["b"] == "(uuid, name)", order
EOF
nothing_left
