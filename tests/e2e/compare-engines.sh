#!/bin/sh
# One project on three engines, each on a box of its own: what the engines spell in their own ways is no difference; an index
# that one of them is not given, a step that only one of them refuses, rows and round trips are.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
mkdir -p project/migrations
cd project
cat >stepbox.yaml <<'END'
name: eng
box: {ttl: 20m}
source: {path: .}
migrations: {tool: plain-sql}
END
m=migrations
cat >$m/001_parents.up.sql <<'END'
CREATE TABLE parents (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL UNIQUE, seen TIMESTAMP NULL, ok BOOLEAN);
END
cat >$m/002_children.up.sql <<'END'
CREATE TABLE children (id BIGINT NOT NULL PRIMARY KEY, parent_id INTEGER NOT NULL, size FLOAT, note TEXT,
	CONSTRAINT children_parent FOREIGN KEY (parent_id) REFERENCES parents (id));
END
echo 'CREATE INDEX children_size ON children (size, id);' >$m/003_index.up.sql
echo "INSERT INTO parents (id, name) VALUES (1, 'one'), (2, 'two');" >$m/004_rows.up.sql
cat >$m/005_view.up.sql <<'END'
CREATE VIEW names AS SELECT id, name FROM parents WHERE ok IS NOT NULL;
END
compare() { # RC ARGUMENTS…
	want=$1
	shift
	rc=0
	"$STEPBOX" compare "$@" >out 2>err || rc=$?
	[ $rc = "$want" ] || die "compare $*: exit $rc, not $want: $(cat out err)"
	tr -s ' ' <out >flat
}
compare 0 --vary database=sqlite,mariadb,postgresql --all-pairs
[ "$(grep -c 'base…005_view equal (6 versions)' flat)" = 3 ] || die "$(cat out)"
[ "$(grep -c ' equal$' flat)" = 3 ] || die "$(cat out)"
[ "$(grep '^on machines of their own: ' out | grep -oE '[0-9a-f]{12}' | sort -u | wc -l)" = 3 ] || die "$(cat out)"
compare 0 eng-1 eng-2 -v
grep -q '+ index .*(parent_id).*(cosmetic)$' flat || die "MariaDB's own index is told with -v: $(cat out)"
nothing_left

# Directories of dialects: one engine is given less, and one is given what it refuses.
for d in sqlite mariadb postgresql; do
	mkdir $m/$d
	cp $m/*.sql $m/$d/
done
rm $m/*.sql
echo 'SELECT 1;' >$m/mariadb/003_index.up.sql
echo 'INSERT INTO parents (id, name) VALUES (3, NULL);' >>$m/postgresql/004_rows.up.sql
compare 1 --vary database=sqlite,mariadb,postgresql
grep -A 1 '003…005 DIFFERENT (3 versions)\|003_index…005_view DIFFERENT (3 versions)' flat |
	grep -q 'children: - index children_size' || die "an index MariaDB was not given: $(cat out)"
grep -q '~ the step: applied-empty → failed-clean (outcome)' flat || die "$(cat out)"
grep -q '005_view NOT REACHED by C' flat || die "$(cat out)"
nothing_left
