#!/bin/sh
# SPDX-License-Identifier: MIT
# A whole walk with the tool loaded once, against the same walk typed as a shell loop on the same box: for each version the tool's
# command, then `sqlite3 DB "SELECT …"` for the dump. Both see every version; all dumps must be equal.
#
#     tests/bench/warm.sh BUILD [rows|line|nova]…
#
# rows: Django, line: Alembic, a project of 40 migrations each; nova: stein-eol, 216 to 391, where NOVA=/path/to/nova.git is given
# (ten minutes, most of it typed).
#
# Ours is the wall time of `stepbox step` from base to head: connecting, listing, loading, stepping, looking, storing. Aim: nova ≥ 20
# times faster; the small ones are told, without an aim (half of their typed time is sqlite3 and the shell).
# shellcheck disable=SC1091,SC2016 # sourced; text of other languages
build=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- rows line nova
wanted=" $* "
STEPBOX=$build/stepbox
export STEPBOX
unset XDG_STATE_HOME # a store of its own
. "$(dirname "$0")/../e2e/lib/common.sh"
needs_boxes
SQL="SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name"
missed=0

# bench NAME LIST-COMMAND STEP-COMMAND AIM: ./NAME/stepbox.yaml; the commands are shell text for the box, in /srv/NAME, with $V.
bench() {
	name=$1
	case $wanted in *" $1 "*) ;; *) return 0 ;; esac
	"$STEPBOX" up "$name/stepbox.yaml" >up.out 2>&1 || { tail -n 5 up.out; exit 77; }
	box=$("$STEPBOX" ls --boxes --json | sed -n 's/.*"box": *"\([^"]*\)".*/\1/p')
	cat >typed.sh <<-END
		set -eu
		cd /srv/$name
		export PYTHONWARNINGS=ignore
		mkdir /root/typed
		$2 >/root/typed/list
		begin=\$(date +%s%N)
		while read -r V; do
			{ $3
			} </dev/null >/root/typed/out 2>&1 || { cat /root/typed/out >&2; exit 1; }
			sqlite3 /var/tmp/$name.sqlite "$SQL" >"/root/typed/\$V.sql"
		done </root/typed/list
		echo \$(((\$(date +%s%N) - begin) / 1000000)) >/root/typed/ms
		rm -f /var/tmp/$name.sqlite*
	END
	"$STEPBOX" ssh "$box" -- sh -s <typed.sh || die "$name: the typed loop"
	rm -rf typed
	"$STEPBOX" ssh "$box" -- tar -C /root -cf - typed | tar xf -
	begin=$(date +%s%N)
	"$STEPBOX" step "$box" --to head >step.out 2>&1 || die "$name: $(tail -n 5 step.out)"
	ours=$((($(date +%s%N) - begin) / 1000000))
	n=0
	for f in typed/*.sql; do
		v=$(basename "$f" .sql)
		"$STEPBOX" schema "last:$v" >got.sql
		cmp -s got.sql "$f" || die "$name: the dump of $v is another one"
		n=$((n + 1))
	done
	[ "$n" = "$(wc -l <typed/list)" ] || die "$name: $n dumps compared"
	plain=$(cat typed/ms)
	echo "$name: $n versions, typed $((plain / 1000)).$((plain / 100 % 10)) s, ours $((ours / 1000)).$((ours / 100 % 10)) s:" \
		"$((plain / ours)).$((plain * 10 / ours % 10)) times faster (aim ${4:-none}); $(sed -n 's/^  times *//p' step.out)"
	[ -z "$4" ] || [ "$plain" -ge $((ours * $4)) ] || missed=1
	"$STEPBOX" down "$box" >/dev/null
}

mkdir -p rows/rows/migrations
touch rows/rows/__init__.py rows/rows/migrations/__init__.py
printf "SECRET_KEY = 'x'\nINSTALLED_APPS = ['django.contrib.contenttypes', 'django.contrib.auth', 'django.contrib.sessions', 'rows']
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': '/var/tmp/rows.sqlite'}}\n" >rows/settings.py
printf "import os, sys\nif __name__ == '__main__':\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')
    from django.core.management import execute_from_command_line\n    execute_from_command_line(sys.argv)\n" >rows/manage.py
mkdir -p line/migrations/versions
printf '[alembic]\nscript_location = migrations\nsqlalchemy.url = sqlite:////var/tmp/line.sqlite\n' >line/alembic.ini
printf 'from alembic import context\nfrom sqlalchemy import create_engine, pool
engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
with engine.connect() as connection:\n    context.configure(connection=connection)\n    with context.begin_transaction():\n        context.run_migrations()\n' \
	>line/migrations/env.py
i=0 before=
while [ $i -lt 40 ]; do
	i=$((i + 1)) m=$(printf m%03d $i)
	printf "from django.db import migrations, models\nclass Migration(migrations.Migration):\n    dependencies = [%s]
    operations = [migrations.CreateModel('T%s', [('id', models.AutoField(primary_key=True)), ('a', models.CharField(max_length=40))])]\n" \
		"${before:+('rows', '$before')}" "$i" >rows/rows/migrations/"$m".py
	printf 'from alembic import op\nimport sqlalchemy as sa\nrevision = "%s"\ndown_revision = %s
def upgrade():\n    op.create_table("t%s", sa.Column("a", sa.String(40)))\n' "$m" "$([ -z "$before" ] && echo None || echo "\"$before\"")" $i \
		>line/migrations/versions/"$m".py
	before=$m
done
recipe() {
	printf 'name: %s\nbox: {ttl: 2h}\nsource: {path: .}\ndatabase: sqlite\npackages: [sqlite3, %s]\nmigrations: {tool: %s}\n' "$1" "$2" "$3" \
		>"$1/stepbox.yaml"
}
recipe rows python3-django django
recipe line python3-alembic alembic
bench rows "python3 manage.py showmigrations --plan | sed 's/.* //'" \
	'python3 manage.py migrate --no-input "${V%%.*}" "${V#*.}"' ''
bench line 'ls migrations/versions | sed -n "s/^\(m[0-9]*\)\.py$/\1/p"' 'python3 -m alembic.config upgrade "$V"' ''

if [ -n "${NOVA:-}" ]; then
	mkdir nova
	cat >nova/stepbox.yaml <<-END
		name: nova
		box: {ttl: 4h}
		source: {git: $NOVA, ref: stein-eol, depth: 1}
		database: sqlite
		env: {PBR_VERSION: "19.3.2"}
		files:
		  /etc/nova/nova.conf: |
		    [database]
		    connection = \${database.url}
		    [api_database]
		    connection = \${database.url}.api
		setup:   # this oslo.db no longer binds its MetaData, which these migrations count on
		  - sed -i 's/^    metadata = MetaData()/    metadata = MetaData(bind=engine)/' /usr/lib/python3/dist-packages/oslo_db/sqlalchemy/utils.py
		migrations: {tool: nova-manage, from: base, to: "391"}
		packages: [git, sqlite3, alembic, python3-migrate, python3-alembic, python3-sqlalchemy, python3-pymysql, python3-psycopg2
	END
	for p in oslo.cache oslo.concurrency oslo.config oslo.context oslo.db oslo.i18n oslo.limit oslo.log oslo.messaging oslo.middleware \
		oslo.policy oslo.privsep oslo.reports oslo.rootwrap oslo.serialization oslo.service oslo.upgradecheck oslo.utils \
		oslo.versionedobjects os-brick os-resource-classes os-service-types os-traits os-vif os-win barbicanclient castellan cinderclient \
		cryptography cursive dateutil decorator eventlet feedparser futurist glanceclient greenlet iso8601 jinja2 jsonschema keystoneauth1 \
		keystonemiddleware lxml memcache microversion-parse netaddr netifaces neutronclient novaclient openstacksdk packaging paramiko paste \
		pastedeploy pbr prettytable psutil pycurl pyparsing requests retrying rfc3986 routes stevedore tempita tooz webob websockify yaml; do
		echo "  , python3-$p" >>nova/stepbox.yaml
	done
	echo "  ]" >>nova/stepbox.yaml
	bench nova 'ls nova/db/sqlalchemy/migrate_repo/versions | sed -n "s/^\([0-9]\{3\}\)_.*/\1/p" | sort -u' \
		"PBR_VERSION=19.3.2 OS_NOVA_DISABLE_EVENTLET_PATCHING=1 python3 -c 'from nova.cmd.manage import main; main()' \\
			--config-file /etc/nova/nova.conf db sync --version \"\$V\" --local_cell" 20
fi
exit $missed
