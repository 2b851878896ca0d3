#!/bin/sh
# shellcheck disable=SC2015,SC2016,SC2012,SC1091 # fail ends the script; odd names on purpose; ls of our own names; made here
# What the bundled adapters say is run for real: each tool's snippets, as test_adapter compiles them, walk a small project
# of that tool up and down on SQLite in a scratch directory. No box: the same few lines of shell that the runner runs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(dirname "${STEPBOX:-$here/../../build/release/stepbox}")
compiler=${TEST_ADAPTER:-$build/tests/test_adapter}
PATH=/usr/bin:/bin:$PATH # Debian's python3 has Debian's packages
unset STEPBOX DATABASE_URL PYTHONPATH DJANGO_SETTINGS_MODULE 2>/dev/null || :
[ -x "$compiler" ] || { echo "$compiler is not built"; exit 77; }
command -v sqlite3 >/dev/null || { echo "sqlite3 is not installed"; exit 77; }
W=$(mktemp -d)
holder=
finish() {
	[ -z "$holder" ] || kill "$holder" 2>/dev/null || :
	rm -rf "$W"
}
trap finish EXIT
skipped=

fail() {
	echo "adapters.sh: $*"
	for log in look.out out; do [ ! -s "$W/$log" ] || { echo "--- $log:"; tail -n 20 "$W/$log"; }; done
	exit 1
}

# needs NAME PACKAGE IMPORT…: is the tool here? Root may install it.
needs() {
	what=$1 package=$2
	shift 2
	for module; do
		python3 -c "import $module" 2>/dev/null && continue
		if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
			for words in "install -y --no-install-recommends $package" update \
				"install -y --no-install-recommends $package"; do
				python3 -c "import $module" 2>/dev/null && break
				# shellcheck disable=SC2086 # words
				DEBIAN_FRONTEND=noninteractive timeout 120 apt-get -q $words >"$W/out" 2>&1 || :
			done
		fi
		python3 -c "import $module" 2>/dev/null || { skipped="$skipped $what"; return 1; }
	done
}

# project TOOL [KEY=VALUE]…: a new checkout, and the snippets for it in $S.
new() {
	N=$1
	P=$W/$N/src S=$W/$N/snippets
	DB="$W/$N/data base.sqlite"
	LIST=$W/$N/list LOOK=$W/$N/look STATE=$W/$N/state
	mkdir -p "$P" "$S" "$LOOK" "$STATE"
	cd "$P"
}
compile() {
	tool=$1
	shift
	rm -f "$S"/*
	"$compiler" --write "$S" "$tool" "$N" "$P" "database.file=$DB" "$@" || fail "$tool $N: does not compile"
	variant=
	for when in "$S"/when.*; do
		[ -e "$when" ] && [ -z "$variant" ] && snippet "${when##*/}" || continue
		variant=${when##*.}
		for part in list up down current look; do
			[ ! -e "$S/$part.$variant" ] || cp "$S/$part.$variant" "$S/$part"
		done
		cp "$S/name.$variant" "$S/variant"
	done
	snippet list >"$LIST" || fail "$tool $N: list"
}

# As the runner does it.
snippet() (
	cd "$P"
	[ ! -s "$S/env" ] || . "$S/env"
	export LIST LOOK STATE
	exec sh -euc "$(cat "$S/$1")" </dev/null
)
look() {
	rm -f "$LOOK"/*
	snippet look >"$W/look.out" 2>&1 || return 1
	[ ! -e "$S/current" ] || snippet current >"$LOOK/versions" || return 1
	# A number below the first one is a tool's own name for base.
	read -r first <"$LIST"
	case $first in
	*[!0-9]*) ;;
	*) awk -v "first=$first" '$1 + 0 >= first' "$LOOK/versions" >"$W/above" && mv "$W/above" "$LOOK/versions" ;;
	esac
	# Byte for byte what a person would get.
	if [ -e "$DB" ]; then
		sqlite3 "$DB" "SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name" \
			>"$W/typed"
	else
		: >"$W/typed"
	fi
	cmp "$W/typed" "$LOOK/dump" || fail "$N: the dump differs from the typed one"
}
go() { # up|down VERSION TARGET
	export VERSION="$2" TARGET="$3"
	rc=0
	snippet "$1" >"$W/out" 2>&1 || rc=$?
	look || fail "$N: look after $1 $2"
	return $rc
}
is_at() { grep -qxF -e "$1" "$LOOK/versions"; }
expect_list() {
	printf '%s\n' "$@" >"$W/wanted"
	cmp -s "$W/wanted" "$LIST" || { cat "$LIST"; fail "$N: list is not: $*"; }
}
expect_refused() {
	grep -qE "$(cat "$S/refused")" "$W/out" || fail "$N: this is not taken for a refusal"
}

# walk_up applied|heads: through all of the list; every version must come alone.
walk_up() {
	look || fail "$N: look at nothing"
	[ ! -s "$LOOK/versions" ] || fail "$N: not at base"
	n=0
	while read -r version; do
		cp "$LOOK/dump" "$W/dump.$n"
		cp "$LOOK/versions" "$W/versions.$n"
		go up "$version" "$version" || fail "$N: up to $version"
		is_at "$version" || { cat "$LOOK/versions"; fail "$N: not at $version after up"; }
		n=$((n + 1))
		[ "$1" = heads ] || [ "$(wc -l <"$LOOK/versions")" = $n ] || fail "$N: $version did not come alone"
	done <"$LIST"
	[ $n -gt 0 ] || fail "$N: nothing to walk"
}
# walk_down [traces]: back, every version must go alone, and restore the dump unless it may leave traces.
walk_down() {
	while [ $n -gt 0 ]; do
		version=$(sed -n "${n}p" "$LIST")
		n=$((n - 1))
		before=base
		[ $n = 0 ] || before=$(sed -n "${n}p" "$LIST")
		go down "$version" "$before" || fail "$N: down from $version"
		! is_at "$version" || fail "$N: still at $version after down"
		[ $n = 0 ] || is_at "$before" || { cat "$LOOK/versions"; fail "$N: not at $before after down"; }
		sort "$LOOK/versions" >"$W/now"
		sort "$W/versions.$n" | cmp -s - "$W/now" || fail "$N: more than $version went"
		# Before the first version the tool's own table may not have been there yet.
		[ $n = 0 ] || [ "${1:-}" = traces ] || cmp "$W/dump.$n" "$LOOK/dump" || fail "$N: $version leaves a trace"
	done
}
roundtrip() {
	walk_up "$1"
	walk_down
}
done_with() { echo "ok: $*"; }

sqlite_looks() {
	new sqlite-looks
	mkdir migrations
	echo 'CREATE TABLE one (a);' >migrations/1_one.sql
	compile plain-sql
	DB2="$W/absent.sqlite"
	look || fail "look at an absent file"
	for f in dump counts; do [ ! -s "$LOOK/$f" ] || fail "$f of an absent file is not empty"; done
	[ ! -e "$DB" ] && [ ! -e "$DB2" ] || fail "looking made a database"
	python3 - "$DB" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
names = ['plain', 'with "quotes"', "it's", 'with space', 'semi;colon', 'a\ttab', 'a\nline', '.read x', 'back\\slash',
         'select', '$HOME', 'h\u00e9', '-- no']
for i, name in enumerate(names):
    quoted = '"' + name.replace('"', '""') + '"'
    db.execute('CREATE TABLE %s (a INTEGER PRIMARY KEY AUTOINCREMENT, "b c")' % quoted)
    for _ in range(i):
        db.execute('INSERT INTO %s ("b c") VALUES (1)' % quoted)
db.create_function('of_the_application', 1, lambda x: x, deterministic=True)
db.execute('CREATE INDEX by_function ON plain (of_the_application("b c"))')
db.execute('CREATE VIEW broken AS SELECT * FROM gone')
db.execute('CREATE VIRTUAL TABLE words USING fts5 (w)')
db.execute("INSERT INTO words VALUES ('x')")
PY
	look || fail "look at odd names"
	printf '%s\t%s\n' '$HOME' 10 '-- no' 12 '.read x' 7 'a\ttab' 5 'a\nline' 6 'back\\slash' 8 'h\303\251' 11 "it's" 2 \
		plain 0 select 9 'semi;colon' 4 'with "quotes"' 1 'with space' 3 words_config 1 words_content 1 words_data 2 \
		words_docsize 1 words_idx 0 >"$W/wanted.counts"
	# printf prints the octal escape of é only in its format.
	sed -i "s/h\\\\303\\\\251/$(printf 'h\303\251')/" "$W/wanted.counts"
	grep -v '^words_' "$LOOK/counts" | cut -f1,2 >"$W/a"
	grep -v '^words_' "$W/wanted.counts" >"$W/b"
	cmp "$W/a" "$W/b" || { diff "$W/b" "$W/a" || :; fail "counts"; }
	grep -q '^words_content	1	[0-9]*$' "$LOOK/counts" || fail "rows of a virtual table"

	# NULLs by column, and the page a table begins at, which tells that it was written anew.
	python3 - "$DB" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute('CREATE TABLE plain2 (id INTEGER PRIMARY KEY, "it\'s ""a=b""\t" TEXT, full INT NOT NULL, "n\nl" INT)')
db.execute('INSERT INTO plain2 VALUES (1, NULL, 1, 2), (2, NULL, 1, NULL), (3, 1, 1, 1)')
PY
	look || fail "look at NULLs"
	sed -n 's/^\(plain2	3	\)[0-9]*/\1-/p' "$LOOK/counts" >"$W/a"
	printf 'plain2	3	-	it'"'"'s "a=b"\\t=2	n\\nl=1\n' >"$W/b"
	cmp "$W/a" "$W/b" || { cat "$W/a" "$W/b"; fail "NULLs"; }
	page=$(sed -n 's/^plain2	3	\([0-9]*\).*/\1/p' "$LOOK/counts")
	sqlite3 "$DB" 'CREATE TABLE aside AS SELECT * FROM plain2; DROP TABLE plain2; CREATE TABLE other (a);
		CREATE TABLE plain2 AS SELECT * FROM aside; DROP TABLE other; DROP TABLE aside'
	look
	grep -q '^plain2	3	' "$LOOK/counts" && ! grep -q "^plain2	3	$page	" "$LOOK/counts" || fail "a table written anew has its old page"

	# A step killed in the middle of its transaction, pages already in the file.
	cp "$LOOK/dump" "$W/good"
	python3 - "$DB" <<'PY' || :
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute('PRAGMA cache_size = 2')
db.execute('BEGIN')
db.execute('CREATE TABLE half (a)')
for i in range(2000):
    db.execute('INSERT INTO half VALUES (?)', ('x' * 500,))
os._exit(9)
PY
	[ -s "$DB-journal" ] || fail "no hot journal"
	look || fail "look over a hot journal"
	cmp "$W/good" "$LOOK/dump" || fail "half a transaction was seen"

	# Somebody holds the file: wait for a while, then say so. Never an empty schema.
	hold() {
		python3 -c 'import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
open(sys.argv[3], "w").close()
time.sleep(float(sys.argv[2]))' "$DB" "$1" "$W/held" &
		holder=$!
		until [ -e "$W/held" ]; do sleep 0.05; done
		rm "$W/held"
	}
	hold 1
	snippet look || fail "look did not wait"
	cmp "$W/good" "$LOOK/dump" || fail "look under a short lock"
	hold 30
	! snippet look >"$W/out" 2>&1 || fail "look under a long lock succeeds"
	grep -q locked "$W/out" || fail "look under a long lock does not say why"
	{ kill "$holder" && wait "$holder"; } 2>/dev/null || :
	holder=

	sqlite3 "$DB" 'PRAGMA journal_mode = WAL; CREATE TABLE later (a);' >/dev/null
	look || fail "look at WAL"
	grep -q later "$LOOK/dump" || fail "WAL"
	: >"$DB"
	look || fail "look at an empty file"
	[ ! -s "$LOOK/dump" ] || fail "dump of an empty file"
	echo 'this is no database, and long enough to be seen as none ..........................................' >"$DB"
	! snippet look >"$W/out" 2>&1 || fail "look at no database succeeds"

	# version_sql without a table of its own, with quotes, comments and a second line.
	rm -f "$DB"
	sqlite3 "$DB" 'CREATE TABLE t (a); PRAGMA user_version = 7;'
	compile plain-sql "version_sql=SELECT 'v''' || user_version -- ours
FROM pragma_user_version;" "version_table="
	look || fail "look with user_version"
	[ "$(cat "$LOOK/versions")" = "v'7" ] || fail "user_version: $(cat "$LOOK/versions")"
	done_with "sqlite: odd names, hot journal, locks, WAL, no file"
}

plain_sql_sample() {
	new sample
	cp -R "$here/../../templates/sample/." .
	compile plain-sql
	[ "$(wc -l <"$LIST")" = "$(ls migrations/*.up.sql | wc -l)" ] || fail "list of the sample"
	walk_up applied
	grep -q 'customers	4' "$LOOK/counts" || fail "rows of the sample"
	for version in 013_touch_ticket_on_comment 012_open_tickets_view; do
		before=$(grep -B1 -xF "$version" "$LIST" | head -n 1)
		go down "$version" "$before" || fail "down from $version"
		is_at "$before" && ! is_at "$version" || fail "versions after down from $version"
	done
	! go down 011_check_ticket_status 010_placeholder || fail "011 has no way down"
	expect_refused
	is_at 011_check_ticket_status || fail "a refused step changed the version"
	# Below 011 everything has one; 009's brings a column back at another place.
	rm -f "$DB" "$STATE/applied" migrations/01[123]*
	compile plain-sql
	walk_up applied
	walk_down traces
	done_with "plain-sql: the sample"
}

plain_sql_layouts() {
	new diesel
	mkdir -p db/migrations/sqlite/2018-01-14-171611_a db/migrations/sqlite/2018-09-10-111213_b db/migrations/mysql/x
	echo 'CREATE TABLE a (x);' >db/migrations/sqlite/2018-01-14-171611_a/up.sql
	echo 'DROP TABLE a;' >db/migrations/sqlite/2018-01-14-171611_a/down.sql
	echo 'CREATE TABLE b (x);' >db/migrations/sqlite/2018-09-10-111213_b/up.sql
	echo 'DROP TABLE b' >db/migrations/sqlite/2018-09-10-111213_b/down.sql
	echo 'syntax error' >db/migrations/mysql/x/up.sql
	compile plain-sql directory=db/migrations
	expect_list 2018-01-14-171611_a 2018-09-10-111213_b
	roundtrip applied

	new numbers
	mkdir migrations
	for i in 1 2 9 10 11; do
		printf -- '-- migrate:up\nCREATE TABLE t%s (x);\n-- migrate:down\nDROP TABLE t%s;\n' $i $i >"migrations/${i}_of-a.b(c).sql"
	done
	compile plain-sql
	expect_list '1_of-a.b(c)' '2_of-a.b(c)' '9_of-a.b(c)' '10_of-a.b(c)' '11_of-a.b(c)'
	roundtrip applied

	new goose
	mkdir migrations
	printf -- '-- +goose Up\n-- +goose StatementBegin\nCREATE TABLE a (x);\n-- +goose StatementEnd\n-- +goose Down\nDROP TABLE a;\n' \
		>migrations/00001_a.sql
	compile plain-sql
	roundtrip applied

	new flyway
	mkdir migrations
	echo 'CREATE TABLE a (x);' >migrations/V1.2__a.sql
	echo 'DROP TABLE a;' >migrations/U1.2__a.sql
	echo 'CREATE TABLE b (x);' >migrations/V1.10__b.sql
	echo 'DROP TABLE b;' >migrations/U1.10__b.sql
	compile plain-sql
	expect_list V1.2__a V1.10__b
	roundtrip applied

	new patterns
	mkdir -p sql/up sql/down
	echo 'CREATE TABLE a (x);' >sql/up/do-1.sql
	echo 'DROP TABLE a;' >sql/down/undo-1.sql
	echo 'not ours' >sql/up/README.sql
	compile plain-sql directory=sql 'up_pattern=up/do-*.sql' 'down_pattern=down/undo-*.sql'
	expect_list 1
	roundtrip applied

	new broken
	mkdir migrations
	printf 'CREATE TABLE a (x);\nCREATE TABLE a (y);\nCREATE TABLE b (x);\n' >migrations/1.sql
	printf 'BEGIN;\nCREATE TABLE c (x);\nCREATE TABLE c (y);\nCOMMIT;\n' >migrations/2.sql
	compile plain-sql
	! go up 1 1 || fail "a broken file is applied"
	grep -q 'CREATE TABLE a (x)' "$LOOK/dump" && ! grep -q ' b ' "$LOOK/dump" || fail "not stopped at the error"
	[ ! -s "$LOOK/versions" ] || fail "a broken file counts as applied"
	! go up 2 2 || fail "a broken file is applied"
	! grep -q ' c ' "$LOOK/dump" || fail "an open transaction was kept"
	new empty
	mkdir migrations
	! (compile plain-sql) >"$W/out" 2>&1 || fail "an empty directory has a list"
	grep -q 'no SQL files' "$W/out" || fail "an empty directory has no message"
	done_with "plain-sql: layouts"
}

alembic_revision() { # REVISION DOWN_REVISION [DEPENDS_ON]
	cat >"versions/$1_x.py" <<PY
from alembic import op
import sqlalchemy as sa
revision = "$1"
down_revision = $2
branch_labels = None
depends_on = ${3:-None}
def upgrade():
    op.create_table("t_$1", sa.Column("a", sa.Integer))
def downgrade():
    op.drop_table("t_$1")
PY
}
alembic_walks() {
	needs alembic python3-alembic alembic || return 0
	new alembic
	python3 -m alembic.config init migrations >"$W/out" 2>&1
	cd migrations
	alembic_revision aa None
	alembic_revision cc '"aa"'
	compile alembic
	expect_list aa cc
	roundtrip heads
	[ ! -e "$P/migrations/versions/__pycache__" ] || fail "alembic: bytecode in the checkout"

	# Two branches, a merge, something after it, and a second base that depends on the middle.
	alembic_revision bb '"aa"'
	alembic_revision dd '"cc"'
	alembic_revision mm '("dd", "bb")'
	alembic_revision ee '"mm"'
	alembic_revision a0 None '"cc"'
	echo 'print("a module that talks", end="")' >>versions/a0_x.py
	rm -f "$DB"
	compile alembic
	expect_list aa bb cc a0 dd mm ee
	roundtrip heads
	[ -e "$STATE/branched" ] || fail "alembic: branches are not seen"
	# Straight to a version: all that the list has before it, and nothing else.
	rm -f "$DB"
	go up dd dd || fail "alembic: jump"
	is_at dd && is_at bb && is_at a0 && [ "$(grep -c t_ "$LOOK/counts")" = 5 ] || fail "alembic: jump to dd"

	# A URL with a percent sign, and one that env.py takes from elsewhere.
	DB="$W/alembic/100%25.sqlite"
	compile alembic "url=sqlite:///$W/alembic/100%25.sqlite"
	go up aa aa || fail "alembic: percent"
	is_at aa || fail "alembic: percent sign in the URL"
	# Older than the current one: exit 0, nothing done; the version read back shows it.
	go up bb bb && go up aa aa || fail "alembic upgrade OLDER"
	is_at bb || fail "alembic upgrade OLDER"
	printf 'def downgrade():\n    raise NotImplementedError\n' >>versions/bb_x.py
	! go down bb aa || fail "alembic: refused downgrade"
	expect_refused
	printf 'import not_there\n' >>versions/cc_x.py
	! go up cc cc || fail "alembic: import error"
	grep -qE "$(cat "$S/env_failed")" "$W/out" || fail "alembic: an import error is not the environment's"
	done_with "alembic: line, branches, merge, depends_on"

	needs flask-migrate python3-flask-migrate flask_migrate || return 0
	new flask
	cat >app.py <<PY
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_migrate import Migrate
app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///$DB"
app.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = False
db = SQLAlchemy(app)
Migrate(app, db)
PY
	python3 -m flask db init >"$W/out" 2>&1 || fail "flask db init"
	cd migrations
	alembic_revision aa None
	alembic_revision bb '"aa"'
	compile alembic directory=migrations
	[ "$(cat "$S/variant")" = flask-migrate ] || fail "flask-migrate is not recognised"
	expect_list aa bb
	roundtrip heads
	done_with "alembic: Flask-Migrate"
}

django_migration() { # NAME DEPENDENCIES OPERATIONS
	cat >"shop/migrations/$1.py" <<PY
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = [$2]
    operations = [$3]
PY
}
django_walks() {
	needs django python3-django django || return 0
	new django
	mkdir site
	python3 -m django startproject project site >"$W/out" 2>&1
	cd site
	python3 -m django startapp shop
	echo 'print("settings that talk")' >>project/settings.py
	sed -i "/contrib.sessions'\|contrib.admin'\|contrib.messages'\|contrib.auth'/d" project/settings.py
	echo 'urlpatterns = []' >project/urls.py
	sed -i "s/^INSTALLED_APPS = \[/&'shop', 'stock',/; s|'NAME': .*|'NAME': '$DB',|" project/settings.py
	django_migration 0001_initial '' "migrations.CreateModel('Order', [('id', models.AutoField(primary_key=True))])"
	django_migration 0002_a "('shop', '0001_initial')" "migrations.AddField('Order', 'a', models.IntegerField(null=True))"
	django_migration 0002_b "('shop', '0001_initial'), ('contenttypes', '0002_remove_content_type_name')" \
		"migrations.AddField('Order', 'b', models.IntegerField(null=True))"
	django_migration 0003_merge "('shop', '0002_a'), ('shop', '0002_b')" ''
	django_migration 0004_data "('shop', '0003_merge')" \
		"migrations.RunPython(lambda apps, editor: apps.get_model('shop', 'Order').objects.create())"
	# Squashed: its row comes with those of the two it replaces.
	python3 -m django startapp stock
	for name in 0001_initial 0002_x 0001_squashed_0002_x; do
		django_migration "$name" '' "migrations.CreateModel('$name', [('id', models.AutoField(primary_key=True))])"
		mv "shop/migrations/$name.py" stock/migrations/
	done
	sed -i "s/dependencies = \[/&('stock', '0001_initial')/" stock/migrations/0002_x.py
	echo "    replaces = [('stock', '0001_initial'), ('stock', '0002_x')]" >>stock/migrations/0001_squashed_0002_x.py
	django_migration 0001_initial '' "migrations.CreateModel('Order', [('id', models.AutoField(primary_key=True))])"
	compile django directory=site
	! grep -qx 'stock.0002_x' "$LIST" && grep -qx stock.0001_squashed_0002_x "$LIST" || fail "django: squashed"
	grep -qxF shop.0003_merge "$LIST" && grep -qxF contenttypes.0001_initial "$LIST" || fail "list of django"
	walk_up applied
	grep -q '^shop_order	1	' "$LOOK/counts" || fail "django: rows"
	! grep -q django_migrations "$LOOK/counts" || fail "django: its own table is counted"
	last=$(tail -n 1 "$LIST")
	[ "$last" = stock.0001_squashed_0002_x ] || fail "django: $last is last"
	go down "$last" shop.0004_data || fail "django: squashed, down"
	n=$((n - 1))
	! is_at "$last" && is_at shop.0004_data || fail "django: squashed, down"
	! go down shop.0004_data "$(tail -n 3 "$LIST" | head -n 1)" || fail "django: irreversible went down"
	expect_refused
	sed -i 's/create())/&, migrations.RunPython.noop)/; s/)), migr/), migr/' shop/migrations/0004_data.py
	# Django rebuilds tables on SQLite, which orders columns anew.
	walk_down traces
	echo 'import not_there' >>project/settings.py
	! go up contenttypes.0001_initial contenttypes.0001_initial || fail "django: import error"
	grep -qE "$(cat "$S/env_failed")" "$W/out" || fail "django: an import error is not the environment's"
	done_with "django: all apps, siblings, irreversible"
}

migrate_version() { # NUMBER
	cat >"$1_x.py" <<PY
from sqlalchemy import *
def upgrade(engine):
    Table("t_$1", MetaData(engine), Column("a", Integer)).create()
def downgrade(engine):
    Table("t_$1", MetaData(engine), Column("a", Integer)).drop()
PY
}
sqlalchemy_migrate_walks() {
	needs sqlalchemy-migrate python3-migrate migrate || return 0
	for first in 1 216; do
		new "migrate-$first"
		python3 -c 'import sys; from migrate.versioning import api; api.create("repo", "ours")' >"$W/out" 2>&1 ||
			fail "migrate create"
		cd repo/versions
		migrate_version "$(printf %03d $first)"
		migrate_version "$(printf %03d $((first + 1)))"
		echo "CREATE TABLE in_sql (a);" >"$(printf %03d $((first + 2)))_y_sqlite_upgrade.sql"
		echo "DROP TABLE in_sql;" >"$(printf %03d $((first + 2)))_y_sqlite_downgrade.sql"
		compile sqlalchemy-migrate repository=repo
		expect_list $first $((first + 1)) $((first + 2))
		roundtrip heads
	done
	done_with "sqlalchemy-migrate: python and SQL, from 1 and from 216"
}

# A nova of a few lines, with the command lines of three eras over the real sqlalchemy-migrate.
nova_walks() {
	needs nova-manage python3-migrate migrate || return 0
	for era in option both positional; do
		new "nova-$era"
		case $era in
		option) args="args('--version', metavar='<version>', help='Database version')" ;;
		both)
			# As it was from 16 to 19, the fault included: the positional version is not used.
			args="args('--version', metavar='<version>', help=argparse.SUPPRESS)
args('--local_cell', action='store_true')
args('version2', metavar='VERSION', nargs='?', help='Database version')"
			;;
		positional)
			args="args('--local_cell', action='store_true')
args('version', metavar='VERSION', nargs='?', help='Database version')"
			;;
		esac
		mkdir -p nova/cmd nova/db/sqlalchemy
		touch nova/__init__.py nova/cmd/__init__.py
		python3 -c 'from migrate.versioning import api
api.create("nova/db/sqlalchemy/migrate_repo", "nova", repository_id="nova")' >"$W/out" 2>&1 || fail "migrate create"
		echo "[database]" >nova.conf
		cat >nova/cmd/manage.py <<PY
import argparse
from migrate import exceptions
from migrate.versioning import api
def args(*a, **k):
    parser.add_argument(*a, **k)
parser = argparse.ArgumentParser()
parser.add_argument('--config-file', required=True)
parser.add_argument('words', nargs=2)
$args
def main():
    o = parser.parse_intermixed_args()
    assert o.words == ['db', 'sync'] and o.config_file == 'nova.conf'
    url, repo = 'sqlite:///$DB', 'nova/db/sqlalchemy/migrate_repo'
    try:
        now = api.db_version(url, repo)
    except exceptions.DatabaseNotControlledError:
        api.version_control(url, repo, 215)
        now = 215
    o.version = o.version or 217
    (api.upgrade if int(o.version) > now else api.downgrade)(url, repo, o.version)
PY
		cd nova/db/sqlalchemy/migrate_repo/versions
		migrate_version 216
		migrate_version 217
		[ $era = option ] || sed -i '/^def downgrade/,$d' ./*.py
		compile nova-manage config_file=nova.conf
		expect_list 216 217
		if [ $era = option ]; then
			[ "$(cat "$S/variant")" = with-downgrades ] || fail "nova: $(cat "$S/variant")"
			walk_up heads
			go down 217 216 && is_at 216 && ! is_at 217 || fail "nova: down"
		else
			[ "$([ ! -e "$S/variant" ] || cat "$S/variant")" = "${era#both}" ] && [ ! -e "$S/down" ] || fail "nova: variant"
			walk_up heads
		fi
	done
	cd "$P"
	mkdir -p nova/db/main/migrations/versions
	printf 'import sqlalchemy\nimport nova.nowhere\nrevision: str = "%s"\ndown_revision = %s\n' bb '"cc"' \
		>nova/db/main/migrations/versions/bb_x.py
	printf 'revision = "cc"\ndown_revision = None\n' >nova/db/main/migrations/versions/cc_x.py
	compile nova-manage
	[ "$(cat "$S/variant")" = alembic ] || fail "nova: $(cat "$S/variant")"
	expect_list cc bb
	done_with "nova-manage: eras"
}

# What can be seen of keystone without keystone: eras, and the order of two branches.
keystone_lists() {
	new keystone
	mkdir -p keystone/common/sql/migrate_repo/versions
	touch keystone/common/sql/migrate_repo/versions/067_kilo.py keystone/common/sql/migrate_repo/versions/0068_x_sqlite_upgrade.sql
	compile keystone-manage
	[ ! -e "$S/variant" ] && [ ! -e "$S/down" ] || fail "keystone: a variant for its middle era"
	expect_list 67 68
	echo 'def downgrade(engine): pass' >keystone/common/sql/migrate_repo/versions/067_kilo.py
	compile keystone-manage
	[ "$(cat "$S/variant")" = with-downgrades ] || fail "keystone: $(cat "$S/variant")"
	V=keystone/common/sql/migrations/versions
	mkdir -p $V/yoga/expand $V/yoga/contract $V/bobcat/expand
	touch $V/EXPAND_HEAD
	printf 'revision = "%s"\ndown_revision = %s\n' 27e None >$V/27e_initial.py
	printf 'revision: str = "%s"\ndown_revision = %s\n' bbb '"27e"' >$V/yoga/expand/bbb_x.py
	printf 'revision = "%s"\ndown_revision = %s\n' aaa '"27e"' >$V/yoga/contract/aaa_x.py
	printf 'import keystone.nowhere\nrevision = "%s"\ndown_revision = %s\n' 471 '"bbb"' >$V/bobcat/expand/471_x.py
	compile keystone-manage
	[ "$(cat "$S/variant")" = alembic ] || fail "keystone: $(cat "$S/variant")"
	expect_list 27e bbb 471 aaa
	done_with "keystone-manage: eras, two branches"
}

# Tools that cannot be had here: what needs them not. Their lists, and what is read from tables as they make them.
reads() { # TABLES-AND-ROWS VERSION…
	rm -f "$DB"
	look || fail "$N: look at nothing"
	[ ! -s "$LOOK/versions" ] || fail "$N: versions of nothing"
	sqlite3 "$DB" "$1"
	shift
	look || fail "$N: look"
	printf '%s\n' "$@" | cmp -s - "$LOOK/versions" || { cat "$LOOK/versions"; fail "$N: versions are not: $*"; }
}
without_the_tool() {
	new flyway-cli
	mkdir -p db/more
	touch db/V1__a.sql db/V1_2__b.sql db/V1.10__c.sql db/more/V002__d.sql db/V10__e.sql db/R__f.sql db/U1__a.sql db/V3.java
	compile flyway directory=db
	expect_list 1 1.2 1.10 002 10
	row="INSERT INTO flyway_schema_history VALUES"
	reads "CREATE TABLE flyway_schema_history (installed_rank INT, version VARCHAR(50), type VARCHAR(20), success BOOLEAN);
		$row (1, '1', 'SQL', 1), (2, '1.2', 'SQL', 1), (3, NULL, 'SQL', 1), (4, '002', 'SQL', 1), (5, '002', 'UNDO_SQL', 1), (6, '10', 'SQL', 0);" 1 1.2

	new golang-migrate
	mkdir migrations
	touch migrations/1_a.up.sql migrations/1_a.down.sql migrations/0010_b.up.sql migrations/2_c.up.md migrations/x.up.sql
	compile golang-migrate
	expect_list 1 2 10
	reads 'CREATE TABLE schema_migrations (version uint64, dirty bool); INSERT INTO schema_migrations VALUES (10, 1);' 10
	sqlite3 "$DB" 'UPDATE schema_migrations SET version = -1'
	look && [ ! -s "$LOOK/versions" ] || fail "golang-migrate: dirty before the first"

	new goose-cli
	mkdir migrations
	touch migrations/00001_a.sql migrations/00010_b.go migrations/00002_c.sql migrations/00010_b_test.go migrations/main.go
	compile goose
	expect_list 1 2 10
	row="INSERT INTO goose_db_version (version_id, is_applied) VALUES"
	reads "CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL);
		$row (0, 1), (1, 1), (2, 1), (2, 0), (10, 1);" 1 10

	new ecto
	mkdir -p priv/repo/migrations
	touch priv/repo/migrations/20200102000000_b.exs priv/repo/migrations/20200101000000_a.exs priv/repo/migrations/.formatter.exs
	compile ecto
	expect_list 20200101000000 20200102000000
	reads 'CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, inserted_at TEXT); INSERT INTO schema_migrations VALUES (20200102000000, NULL), (20200101000000, NULL);' \
		20200101000000 20200102000000

	new sqlx
	mkdir migrations
	touch migrations/2_b.up.sql migrations/2_b.down.sql migrations/0001_a.sql migrations/10_c.sql
	compile sqlx
	expect_list 1 2 10
	reads 'CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, success BOOLEAN); INSERT INTO _sqlx_migrations VALUES (1, 1), (2, 0);' 1

	new diesel-cli
	mkdir -p migrations/2018-01-14-171611_a migrations/00000000000000_initial migrations/2018-01-14-171611-0001_b migrations/empty
	for d in migrations/*_*; do touch "$d/up.sql"; done
	compile diesel 'command=cp -R $STATE/first $STATE/given; :'
	expect_list 00000000000000 20180114171611 201801141716110001
	go up 20180114171611 20180114171611 || fail "diesel: up"
	[ "$(ls "$STATE/given" | tr '\n' ' ')" = "00000000000000_initial 2018-01-14-171611_a " ] || fail "diesel: it is given $(ls "$STATE/given")"
	reads "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY, run_on TIMESTAMP); INSERT INTO __diesel_schema_migrations VALUES ('20180114171611', 0), ('00000000000000', 0);" \
		00000000000000 20180114171611

	new doctrine
	mkdir -p migrations/2020
	printf '<?php\nnamespace App\\Migrations;\n\nfinal class Version20200102 extends AbstractMigration\n{\n}\n' >migrations/2020/Version20200102.php
	printf '<?php\ndeclare(strict_types=1);\nnamespace App\\Migrations;\nclass Version20200101 extends AbstractMigration {\n' >migrations/Version20200101.php
	printf '<?php\nnamespace App\\Migrations;\nabstract class Base extends AbstractMigration {\n' >migrations/Base.php
	compile doctrine
	expect_list 'App\Migrations\Version20200101' 'App\Migrations\Version20200102'
	reads "CREATE TABLE doctrine_migration_versions (version VARCHAR(191) PRIMARY KEY, executed_at DATETIME, execution_time INT);
		INSERT INTO doctrine_migration_versions VALUES ('App\Migrations\Version20200101', NULL, 3);" 'App\Migrations\Version20200101'

	new phinx
	mkdir -p db/migrations
	touch db/migrations/20200102000000_add_b.php db/migrations/20200101000000_a.php db/migrations/20200103000000_Not_one.php
	compile phinx
	expect_list 20200101000000 20200102000000
	reads 'CREATE TABLE phinxlog (version BIGINT PRIMARY KEY, migration_name VARCHAR(100)); INSERT INTO phinxlog VALUES (20200101000000, NULL);' 20200101000000
	done_with "lists and tables of Flyway, golang-migrate, goose, Ecto, sqlx, Diesel, Doctrine, Phinx"
}

sqlite_looks
without_the_tool
plain_sql_sample
plain_sql_layouts
alembic_walks
django_walks
sqlalchemy_migrate_walks
nova_walks
keystone_lists
[ -z "$skipped" ] || { echo "all others passed; not installed:$skipped"; exit 77; }
