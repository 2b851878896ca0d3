#!/bin/sh
# MariaDB and PostgreSQL on boxes: one project walked on three engines by one --vary; what is stored is what the engines' own
# tools say of the same SQL typed by hand, byte for byte once their noise is gone; twice in a row it is the same. Names are as
# odd as the engines take them. What the database did is told. A server that does not start says why, and leaves nothing.
# shellcheck disable=SC2154,SC2164 # $work is common.sh's; set -e
. "$(dirname "$0")/lib/common.sh"
needs_boxes

# migration VERSION: SQL on stdin with names between double quotes, for all engines.
migration() {
	cat >"$work/sql"
	for e in sqlite postgresql mariadb; do
		mkdir -p "project/migrations/$e"
		{
			[ $e != mariadb ] || echo "SET sql_mode = 'ANSI_QUOTES';"
			cat "$work/sql"
		} >"project/migrations/$e/$1.sql"
	done
}
# also ENGINE VERSION: more of it, for one engine.
also() { cat >>"project/migrations/$1/$2.sql"; }

tab=$(printf '\t')
migration 001_tables <<'END'
CREATE TABLE customers (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, city VARCHAR(40), UNIQUE (name));
CREATE TABLE tickets (id INTEGER NOT NULL PRIMARY KEY, customer INTEGER NOT NULL, note VARCHAR(20) DEFAULT 'it''s',
	CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers (id));
CREATE INDEX z_note ON tickets (note);
CREATE INDEX a_note ON tickets (note, customer);
END
migration 002_rows <<'END'
INSERT INTO customers VALUES (1, 'a', NULL), (2, 'b', 'Ulm'), (3, 'c', NULL);
INSERT INTO tickets VALUES (1, 1, 'x'), (2, 1, 'y');
END
migration 003_odd <<END
CREATE TABLE "a ""b"" it's 100% é" (id INTEGER NOT NULL PRIMARY KEY, "c=d it's%" INTEGER, "t${tab}""b" INTEGER, "two
lines" INTEGER);
CREATE TABLE "-- no comment" (id INTEGER NOT NULL PRIMARY KEY);
INSERT INTO "a ""b"" it's 100% é" VALUES (1, NULL, 2, NULL), (2, NULL, NULL, 1);
CREATE VIEW "v;" AS SELECT id FROM "-- no comment";
END
# One table is written anew, the other is not; both have rows.
migration 004_rewrite </dev/null
also sqlite 004_rewrite <<'END'
CREATE TABLE t2 (id INTEGER NOT NULL PRIMARY KEY, customer BIGINT NOT NULL, note VARCHAR(20));
INSERT INTO t2 SELECT * FROM tickets;
DROP TABLE tickets;
ALTER TABLE t2 RENAME TO tickets;
ALTER TABLE customers ADD COLUMN vip INTEGER;
END
also postgresql 004_rewrite <<'END'
ALTER TABLE tickets ALTER COLUMN id TYPE BIGINT;
ALTER TABLE customers ADD COLUMN vip INTEGER;
END
also mariadb 004_rewrite <<'END'
ALTER TABLE tickets MODIFY COLUMN id BIGINT NOT NULL;
ALTER TABLE customers ADD COLUMN vip INTEGER;
END
# What only servers have. Lines in bodies that look like the noise of a dump.
migration 005_bodies </dev/null
also postgresql 005_bodies <<'END'
CREATE SCHEMA other;
CREATE TABLE other."t.u" (id serial PRIMARY KEY, v text DEFAULT '$$', g integer GENERATED ALWAYS AS (1) STORED);
CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS $x$
begin

-- kept
SET search_path = 'a';
return 1; -- $$ '
end
$x$;
COMMENT ON TABLE customers IS 'two

-- lines
SET a = 1;';
END
also mariadb 005_bodies <<'SQL'
CREATE TABLE counted (id INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY, at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
	ON UPDATE CURRENT_TIMESTAMP, j JSON);
INSERT INTO counted (j) VALUES ('{}'), (NULL);
DELIMITER ;;
CREATE PROCEDURE p() BEGIN

-- kept
SELECT 1;
END;;
CREATE TRIGGER tr BEFORE INSERT ON counted FOR EACH ROW SET NEW.at = NOW();;
DELIMITER ;
CREATE EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO DELETE FROM counted;
SQL
migration 006_lock </dev/null
also postgresql 006_lock <<'END'
UPDATE customers SET name = 'd' WHERE id = 1;
END
also mariadb 006_lock <<'END'
ALTER TABLE customers ADD COLUMN late INTEGER;
END

# `up` as of plain-sql in short; somebody else holds what 006 wants.
cat >project/stepbox.yaml <<'END'
name: eng
box: {ttl: 20m}
source: {path: .}
database: sqlite
migrations:
  tool: plain-sql
  directory: migrations
  up: |
    if [ "$VERSION" = 006_lock ] && [ -s hold/${database.engine}.sql ]; then
    	${database.sql} $([ ${database.engine} = postgresql ] || echo --unbuffered) <hold/${database.engine}.sql >held 2>&1 &
    	until grep -qs held held; do sleep 0.05; done
    fi
    ${database.sql} <migrations/${database.engine}/"$VERSION.sql"
    echo "$VERSION" >>"$STATE/applied"
    wait
END
mkdir project/hold
cat >project/hold/postgresql.sql <<'END'
BEGIN;
UPDATE customers SET vip = 1;
\echo held
SELECT pg_sleep(0.6);
COMMIT;
END
cat >project/hold/mariadb.sql <<'END'
BEGIN;
UPDATE customers SET vip = 1;
SELECT 'held';
SELECT SLEEP(0.6);
COMMIT;
END
# The same by hand in a second database of the same server: what the engine's own dump says after each file.
cat >typed.yaml <<'END'
setup:
  - |
    mkdir -p /var/tmp/typed
    E=${database.engine} H=${database.socket}
    echo 'CREATE DATABASE typed' | ${database.sql}
    for F in migrations/$E/*.sql; do
    	V=$(basename "$F" .sql)
    	if [ $E = mariadb ]; then
    		mariadb --socket="$H" -u root typed <"$F"
    		mariadb-dump --socket="$H" -u root --no-data --routines --events --triggers --skip-comments --skip-add-drop-table \
    			typed >/var/tmp/typed/$V
    	else
    		psql -qX -h "${database.host}" -U postgres typed <"$F"
    		pg_dump --schema-only --no-owner --no-privileges -h "${database.host}" -U postgres typed >/var/tmp/typed/$V
    	fi
    done
END
{ cat project/stepbox.yaml typed.yaml; } >project/typed.yaml

# Noise out of what was typed, by other means than the adapters'.
cat >clean.py <<'END'
import re, sys
engine, text = sys.argv[1], sys.stdin.buffer.read()
if engine == "postgresql":
    text = re.sub(rb"(?m)^--\n-- (Name|PostgreSQL|Dumped|Type).*\n--\n", b"", text)
    text = re.sub(rb"(?m)^-- Dumped .*\n|^\\(un)?restrict .*\n", b"", text)
    head, rest = text.split(b"SET row_security = off;\n", 1)
    rest = re.sub(rb"(?m)^SET default_(tablespace|table_access_method) = .*;\n", b"", rest)
    # Blank lines count inside of a body and a text only.
    token = rb"(\$[A-Za-z_]*\$).*?\1|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\n\n+"
    out = re.sub(token, lambda m: b"\n" if m[0][:1] == b"\n" else m[0], rest, flags=re.S).lstrip(b"\n")
else:
    text = re.sub(rb"(?m)^DO SETVAL\(.*\n", b"", text)
    lines, out, keys, body = text.split(b"\n"), [], [], False
    for line in lines:
        if line.startswith(b"DELIMITER "):
            body = line == b"DELIMITER ;;"
        if not body and (not line or line.startswith(b"/*M!") or re.match(rb"/\*!\d+ SET .*\*/;$", line) or
                         re.match(rb"SET (@saved_cs_client|character_set_client) +=", line)):
            continue
        if re.match(rb"/\*!50\d{3} SET (?!sql_mode +\= ')", line) and line.endswith(b"*/ ;;") or \
           re.match(rb"/\*!50\d{3} SET (?!sql_mode +\= ').*\*/ ;$", line):
            continue
        line = re.sub(rb"DEFINER=`root`@`localhost` ?", b"", line)
        if re.match(rb"  (UNIQUE KEY|KEY|CONSTRAINT) ", line):
            keys.append(line.rstrip(b","))
            continue
        if keys:
            keys.sort(key=lambda k: (k.startswith(b"  CONSTRAINT"), k))
            out += [k + b"," for k in keys[:-1]] + keys[-1:]
            keys = []
        out.append(re.sub(rb" AUTO_INCREMENT=\d+", b"", line) if line.startswith(b")") else line)
    out = b"\n".join(out) + (b"\n" if out else b"")
sys.stdout.buffer.write(out)
END

cd project
for round in 1 2; do
	"$STEPBOX" run --vary database=sqlite,mariadb,postgresql >out 2>err || die "round $round: exit $?: $(cat out err)"
	[ "$(grep -c ': ok in' out)" = 3 ] || die "three verdicts are wanted: $(cat out)"
done
# Rows, NULLs, what was written anew, waits; both rounds alike.
for r in 1 2 3 4 5 6; do "$STEPBOX" show eng-$r --json; done | python3 -c '
import json, sys
runs = [json.loads(line) for line in sys.stdin]
by = {}
for run in runs:
    by.setdefault(run["engine"], []).append(run)
assert sorted(by) == ["mariadb", "postgresql", "sqlite"], by.keys()
for engine, (one, two) in by.items():
    for a, b in zip(one["steps"], two["steps"]):
        for key in ("version", "outcome", "dump_sha256", "rows", "changes", "rewritten"):
            assert a[key] == b[key], (engine, a["version"], key, a[key], b[key])
    steps = {s["version"]: s for s in one["steps"]}
    odd = "a \"b\" it\x27s 100% \u00e9"
    assert steps["003_odd"]["rows"] == {"customers": 3, "tickets": 2, "-- no comment": 0, odd: 2}, (engine, steps["003_odd"]["rows"])
    assert [s["rewritten"] for v, s in sorted(steps.items())][:6] == [[], [], [], ["tickets"], [], []], engine
    assert steps["002_rows"]["outcome"] == "applied-empty", engine
    work = {v: s["work"] for v, s in steps.items()}
    if engine == "sqlite":
        continue
    assert work["002_rows"]["statements"] in (2, 3), work
    assert work["002_rows"]["lock_waits"] == 0, work
    assert work["006_lock"]["lock_waits"] >= 1 and work["006_lock"]["lock_wait_ms"] >= 200, (engine, work)
    assert work["006_lock"]["longest_ms"] >= 500, (engine, work)
    if engine == "mariadb":
        assert work["002_rows"]["rows_changed"] == 5, work
'
grep -q '006_lock .*waited for locks: ' out || die "the wait is not told: $(cat out)"
grep -q '004_rewrite .*rewrote: tickets' out || die "the rewrite is not told: $(cat out)"
counts() { sqlite3 "$XDG_STATE_HOME/stepbox/store.sqlite" "SELECT counts FROM steps WHERE run = '$1' AND version = '003_odd'"; }
for r in 1 2 3; do
	counts eng-$r | grep '^a ' | cut -f 1,2,4- >nulls
	printf 'a "b" it'"'"'s 100%% é\t2\tc=d it'"'"'s%%=2\tt\\\\t"b=1\ttwo\\\\nlines=1\n' >wanted
	sed 's/\\\\/\\/g' wanted >wanted.1
	cmp nulls wanted.1 || die "NULLs of eng-$r: $(cat nulls wanted.1)"
done

# Byte for byte what a person types, also where the dump is not made anew: each statement that changes one of the things a
# catalogue keeps apart, and some that change none.
n=100
while IFS= read -r line; do
	[ -n "$line" ] || continue
	n=$((n + 1))
	printf '%s;\n' "$line" >migrations/postgresql/${n}_ddl.sql
done <<'END'
COMMENT ON COLUMN customers.city IS 'x'
CREATE TYPE e AS ENUM ('a', 'b')
ALTER TYPE e ADD VALUE 'c'
CREATE DOMAIN d AS integer
ALTER DOMAIN d ADD CONSTRAINT positive CHECK (value > 0)
ALTER FUNCTION f() IMMUTABLE
CREATE RULE r AS ON DELETE TO tickets DO ALSO NOTHING
ALTER TABLE tickets ENABLE ROW LEVEL SECURITY
CREATE POLICY p ON tickets USING (id > 0)
CREATE SEQUENCE s
SELECT nextval('s')
ALTER SEQUENCE s INCREMENT 5
CREATE STATISTICS st ON name, city FROM customers
ALTER TABLE customers ALTER COLUMN city SET STATISTICS 300
DO $x$ BEGIN EXECUTE 'CREATE TABLE dynamic (a integer)'; END $x$
VACUUM FULL customers
GRANT SELECT ON customers TO PUBLIC
DROP TABLE dynamic
END
n=100
while IFS= read -r line; do
	[ -n "$line" ] || continue
	n=$((n + 1))
	printf '%s;\n' "$line" >migrations/mariadb/${n}_ddl.sql
done <<'END'
ALTER TABLE tickets RENAME INDEX a_note TO b_note
ALTER TABLE tickets COMMENT 'x'
RENAME TABLE tickets TO cards
CREATE OR REPLACE VIEW w AS SELECT name FROM customers
ALTER PROCEDURE p COMMENT 'x'
ALTER EVENT ev ENABLE
CREATE OR REPLACE TRIGGER tr BEFORE INSERT ON counted FOR EACH ROW SET NEW.at = '2030-01-01'
CREATE SEQUENCE s
SELECT NEXTVAL(s)
ALTER SEQUENCE s INCREMENT 5
INSERT INTO counted (j) VALUES (NULL)
CREATE TABLE parts (a INTEGER) PARTITION BY HASH (a) PARTITIONS 2
ALTER TABLE parts ADD PARTITION PARTITIONS 1
EXECUTE IMMEDIATE 'CREATE TABLE dynamic (a INTEGER)'
DROP TRIGGER tr
DROP TABLE dynamic
END
"$STEPBOX" run typed.yaml --keep always --vary database=mariadb,postgresql >out 2>err || die "typed: exit $?: $(cat out err)"
for r in 7 8; do
	e=$("$STEPBOX" show eng-$r --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["engine"])')
	for f in migrations/"$e"/*.sql; do
		v=$(basename "$f" .sql)
		"$STEPBOX" ssh eng-$r cat "/var/tmp/typed/$v" </dev/null | python3 ../clean.py "$e" >typed || die "$e $v: nothing was typed"
		"$STEPBOX" schema eng-$r:"$v" >stored || die "$e $v: no dump"
		[ "$v" = 001_tables ] || [ -s stored ] || die "$e $v: empty"
		cmp typed stored || { diff typed stored >&2 || true; die "$e $v: differs from what is typed"; }
	done
	# (The client of MariaDB takes comments out of what it sends.)
	[ "$e" = mariadb ] || grep -q -- '-- kept' stored || die "$e: a body lost its comment"
done
"$STEPBOX" down --all >out 2>&1 || die "down: $(cat out)"

# A setting that the server does not take: its own words, and nothing left.
for e in mariadb postgresql; do
	sed "s/^database: .*/database: {engine: $e, settings: nonsense_setting = 1}/" stepbox.yaml >bad.yaml
	! "$STEPBOX" run bad.yaml >out 2>err || die "$e started with nonsense"
	grep -q 'nonsense_setting' out err || die "$e: the reason is not told: $(cat out err)"
done
! "$STEPBOX" run --set database=mysql >out 2>err || die "mysql is an engine"
grep -q mariadb err || die "mysql: no way out is told: $(cat err)"
# Stopped while it starts.
sed "s/^database: .*/database: postgresql/" stepbox.yaml >pg.yaml
"$STEPBOX" run pg.yaml -v >out 2>err &
pid=$!
i=0
until grep -qs '  source ' err; do
	i=$((i + 1))
	[ $i -lt 600 ] || die "does not come to its database: $(cat out err)"
	sleep 0.1
done
sleep 0.2
kill -INT $pid
! wait $pid || die "a stopped run ends well: $(cat out err)"
nothing_left
