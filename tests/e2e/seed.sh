#!/bin/sh
# Data for the steps to work on, on a box: SQL files, commands, and the generator on SQLite, MariaDB and PostgreSQL. Every table that
# can be filled is, keys hold, the same rows come each time; what cannot be filled is told in the database's own words.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
mkdir -p p/m/sqlite p/m/mariadb p/m/postgresql
cat >p/m/sqlite/01_tables.up.sql <<'END'
CREATE TABLE parent (id INTEGER PRIMARY KEY, code CHAR(2) NOT NULL UNIQUE, mood TEXT NOT NULL CHECK (mood IN ('sad', 'it''s ok')));
CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER NOT NULL REFERENCES parent (id), c CHAR(2) REFERENCES parent (code));
CREATE TABLE pair (p INT NOT NULL REFERENCES parent (id), q INT NOT NULL REFERENCES child (id), PRIMARY KEY (p, q));
CREATE TABLE tree (id INTEGER PRIMARY KEY, up INT REFERENCES tree (id), name VARCHAR(9) NOT NULL);
CREATE TABLE a (id INTEGER PRIMARY KEY, b INT REFERENCES b (id));
CREATE TABLE b (id INTEGER PRIMARY KEY, a INT NOT NULL REFERENCES a (id), made AS (id * 2));
CREATE TABLE few (flag BOOLEAN NOT NULL PRIMARY KEY);
CREATE TABLE "we'ird	\x
y" ("c""d" TEXT NOT NULL, "`" INT UNIQUE);
CREATE TABLE never (x TEXT NOT NULL CHECK (x = 'no' || 'body'));
CREATE TABLE skipped (x INT);
CREATE TABLE t (id INTEGER PRIMARY KEY, note VARCHAR(9) NOT NULL);
END
cat >p/m/mariadb/01_tables.up.sql <<'END'
CREATE TABLE parent (id INT AUTO_INCREMENT PRIMARY KEY, code CHAR(2) NOT NULL UNIQUE, mood ENUM('sad', 'it''s ok') NOT NULL);
CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY, p INT NOT NULL, c CHAR(2), FOREIGN KEY (p) REFERENCES parent (id), FOREIGN KEY (c) REFERENCES parent (code));
CREATE TABLE pair (p INT NOT NULL REFERENCES parent (id), q INT NOT NULL REFERENCES child (id), PRIMARY KEY (p, q));
CREATE TABLE tree (id INT AUTO_INCREMENT PRIMARY KEY, up INT REFERENCES tree (id), name VARCHAR(9) NOT NULL);
CREATE TABLE a (id INT PRIMARY KEY, b INT);
CREATE TABLE b (id INT PRIMARY KEY, a INT NOT NULL REFERENCES a (id), made INT AS (id * 2));
ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b (id);
CREATE TABLE few (flag BOOLEAN NOT NULL PRIMARY KEY);
CREATE TABLE `we'ird	\x
y` (`c"d` VARCHAR(9) NOT NULL, ```` INT UNIQUE);
CREATE TABLE never (x VARCHAR(9) NOT NULL CHECK (x = concat('no', 'body')));
CREATE TABLE skipped (x INT);
CREATE TABLE t (id INTEGER PRIMARY KEY, note VARCHAR(9) NOT NULL);
END
cat >p/m/postgresql/01_tables.up.sql <<'END'
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE TABLE parent (id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code CHAR(2) NOT NULL UNIQUE, mood mood NOT NULL);
CREATE TABLE child (id SERIAL PRIMARY KEY, p INT NOT NULL REFERENCES parent (id), c CHAR(2) REFERENCES parent (code));
CREATE TABLE pair (p INT NOT NULL REFERENCES parent (id), q INT NOT NULL REFERENCES child (id), PRIMARY KEY (p, q));
CREATE TABLE tree (id SERIAL PRIMARY KEY, up INT REFERENCES tree (id), name VARCHAR(9) NOT NULL);
CREATE TABLE a (id INT PRIMARY KEY, b INT);
CREATE TABLE b (id INT PRIMARY KEY, a INT NOT NULL REFERENCES a (id), made INT GENERATED ALWAYS AS (id * 2) STORED);
ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b (id);
CREATE TABLE few (flag BOOLEAN NOT NULL PRIMARY KEY);
CREATE TABLE "we'ird	\x
y" ("c""d" TEXT NOT NULL, "`" INT UNIQUE);
CREATE TABLE never (x TEXT NOT NULL CHECK (x = 'no' || 'body'));
CREATE TABLE skipped (x INT);
CREATE TABLE t (id INTEGER PRIMARY KEY, note VARCHAR(9) NOT NULL);
END
for e in sqlite mariadb postgresql; do
	echo 'ALTER TABLE tree ADD COLUMN more INT;' >p/m/$e/02_more.up.sql
	echo 'DELETE FROM pair;' >p/m/$e/03_clears.up.sql
	echo 'CREATE TABLE late (x INT NOT NULL);' >p/m/$e/04_late.up.sql
	echo 'ALTER TABLE late ADD COLUMN y INT;' >p/m/$e/05_end.up.sql
done
cat >p/stepbox.yaml <<'END'
name: seed
box: {ttl: 30m}
source: {path: .}
database: sqlite
migrations: {tool: plain-sql, directory: m}
seed:
  rows: 20
  skip: [skipped]
  before:
    "02": own.sql
    "04": {run: "echo 'INSERT INTO skipped VALUES (3);' | ${database.sql}"}
limits: {loss: ["03"]}
END
echo "INSERT INTO skipped VALUES (1), (2); -- it's ours" >p/own.sql
check() { # RUN
	"$STEPBOX" show "$1" --json >run.json
	python3 - "$1" <<'END'
import json, sys
r = json.load(open("run.json"))
assert r["status"] == "ok", (r["status"], r["detail"])
base, one, two, three, four, five = r["steps"]
assert not one["seeded"]
seeded = dict(l.split("\t", 1) for l in two["seeded"])
assert len(seeded) == 11 and seeded["skipped"] == "2" and seeded["few"] == "2", seeded
rows, why = seeded.pop("never").split("\t")
assert rows == "0" and "never" in why or "body" in why, why
weird = "we'ird\\t\\\\x\\ny"
assert seeded[weird] == "20" and all(v == "20" for k, v in seeded.items() if k not in ("skipped", "few")), seeded
assert three["rows"]["pair"] == 0 and any(f.startswith("note: pair: 20 of 20") for f in three["findings"]), three["findings"]
# Emptied by a step, filled again before the next; a command of the recipe's own; a table that came later.
assert dict(l.split("\t", 1) for l in four["seeded"])["skipped"] == "1", four["seeded"]
assert dict(l.split("\t", 1) for l in five["seeded"])["late"] == "20", five["seeded"]
END
}
(cd p && "$STEPBOX" run) >out 2>err || die "sqlite: $(cat out err)"
grep -q '02_more .*seeded: 10 tables, 164 rows' out || die "not told: $(cat out)"
grep -q '· not filled: never: .*body' out || die "what could not be filled is not told: $(cat out)"
check seed-1
# A plan says what will be done.
(cd p && "$STEPBOX" plan -v) | grep -q 'before 02' || die "plan"
# Mistakes are said before a box is there.
rc=0
(cd p && "$STEPBOX" run --set seed.before.02=nothing.sql) >out 2>err || rc=$?
[ $rc = 2 ] && grep -q 'nothing.sql' err || die "a file that is not there: exit $rc: $(cat err)"
rc=0
(cd p && "$STEPBOX" run --set seed.rows=many) >out 2>err || rc=$?
[ $rc = 2 ] && grep -q 'rows: not a number' err || die "rows: exit $rc: $(cat err)"
rc=0
(cd p && "$STEPBOX" run --set seed.before.77=own.sql) >out 2>err || rc=$?
[ $rc = 1 ] && grep -q 'seed: before: version 77 is not in the list' err || die "a version that is not there: exit $rc: $(cat err)"
# SQL that does not work ends the walk, and says so.
echo 'INSERT INTO nobody VALUES (1);' >p/bad.sql
rc=0
(cd p && "$STEPBOX" run --set seed.before.02=bad.sql) >out 2>err || rc=$?
[ $rc = 1 ] && grep -q 'no such table: nobody' err && grep -q 'step 02_more: env-failed' out || die "bad SQL: exit $rc: $(cat out err)"
nothing_left
# The other engines, when their servers can be had.
for e in mariadb postgresql; do
	rc=0
	(cd p && "$STEPBOX" run --set database=$e --set name=seed-$e) >out 2>err || rc=$?
	[ $rc = 0 ] || die "$e: exit $rc: $(cat out err)"
	check seed-$e-1
done
nothing_left
