#!/bin/sh
# Migration tools against MariaDB and PostgreSQL: the URLs they are given and the versions that are read back by SQL. Each walks a
# small project there, back and there again on both servers; everything goes without a trace.
# shellcheck disable=SC2154,SC2164 # $work is common.sh's; set -e
. "$(dirname "$0")/lib/common.sh"
needs_boxes

# recipe NAME MIGRATIONS…: in ./NAME. One list of packages for all: they are installed once.
recipe() {
	name=$1
	shift
	cat >"$name/stepbox.yaml" <<-END
		name: $name
		box: {ttl: 20m}
		source: {path: .}
		packages: [python3-alembic, python3-django, python3-migrate, python3-pymysql, python3-mysqldb, python3-psycopg2]
		database: mariadb
	END
	printf '%s\n' "$@" >>"$name/stepbox.yaml"
}

# Two branches and a merge, a column that only some engines have a type for.
mkdir -p al/migrations/versions
cat >al/alembic.ini <<'END'
[alembic]
script_location = migrations
END
cat >al/migrations/env.py <<'END'
from alembic import context
from sqlalchemy import create_engine
with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
END
revision() { # ID DOWN-REVISION
	cat >"al/migrations/versions/$1_x.py" <<-END
		from alembic import op
		import sqlalchemy as sa
		revision = "$1"
		down_revision = $2
		def upgrade():
		    op.create_table("t_$1", sa.Column("a", sa.Integer, primary_key=True), sa.Column("b", sa.Boolean), sa.Column("c", sa.Text))
		def downgrade():
		    op.drop_table("t_$1")
	END
}
revision aa None
revision bb '"aa"'
revision cc '"aa"'
revision mm '("bb", "cc")'
recipe al 'migrations: {tool: alembic}'

# Its settings name the database's parts rather than a URL.
mkdir -p dj/shop/migrations
touch dj/shop/__init__.py dj/shop/migrations/__init__.py dj/shop/models.py
echo 'urlpatterns = []' >dj/shop/urls.py
cat >dj/manage.py <<'END'
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
END
cat >dj/shop/migrations/0001_initial.py <<'END'
from django.db import migrations, models
class Migration(migrations.Migration):
    operations = [migrations.CreateModel("Order", [("id", models.AutoField(primary_key=True)),
                                                   ("open", models.BooleanField(default=True))])]
END
cat >dj/shop/migrations/0002_note.py <<'END'
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.AddField("Order", "note", models.IntegerField(null=True)),
                  migrations.AddIndex("Order", models.Index(fields=["note"], name="by_note"))]
END
# shellcheck disable=SC2016 # stepbox fills them in
recipe dj 'files:' '  site_settings.py: |' '    SECRET_KEY = "x"' '    INSTALLED_APPS = ["shop"]' '    ROOT_URLCONF = "shop.urls"' \
	'    ENGINE = {"mariadb": "mysql"}.get("${database.engine}", "${database.engine}")' \
	'    SOCKET = "${database.socket}" if ENGINE == "mysql" else "${database.host}"' \
	'    DATABASES = {"default": {"ENGINE": "django.db.backends." + ENGINE, "NAME": "${database.name}",' \
	'                             "USER": "${database.user}", "HOST": SOCKET}}' 'migrations: {tool: django}'

mkdir -p mg/repo/versions
printf '[db_settings]\nrepository_id=ours\nversion_table=migrate_version\nrequired_dbs=[]\n' >mg/repo/migrate.cfg
touch mg/repo/__init__.py mg/repo/versions/__init__.py
for n in 216 217; do
	cat >"mg/repo/versions/${n}_x.py" <<-END
		from sqlalchemy import *
		def upgrade(engine):
		    Table("t_$n", MetaData(engine), Column("a", Integer, primary_key=True), Column("b", String(20))).create()
		def downgrade(engine):
		    Table("t_$n", MetaData(engine), Column("a", Integer)).drop()
	END
done
recipe mg 'migrations: {tool: sqlalchemy-migrate, repository: repo}'

for name in al dj mg; do
	(cd "$name" && "$STEPBOX" run --roundtrip --vary database=mariadb,postgresql >../out 2>../err) ||
		die "$name: exit $?: $(cat out err)"
	[ "$(grep -c ': ok in' out)" = 2 ] || die "$name: two verdicts are wanted: $(cat out)"
done
for r in al-1 al-2 dj-1 dj-2 mg-1 mg-2; do "$STEPBOX" show $r --json; done | python3 -c '
import json, sys
seen = {}
for run in map(json.loads, sys.stdin):
    trips = [(s["version"], s["trip"]) for s in run["steps"] if s["trip"]]
    last = [s for s in run["steps"] if s["leg"] == 3][-1]
    # The tool leaves a table of its own when it goes back to nothing.
    assert trips[0][1] in ("clean", "cosmetic") and all(t == "clean" for v, t in trips[1:]), (run["run"], trips)
    seen[run["run"][:2], run["engine"]] = [v for v, t in trips], sorted(last["versions"]), sorted(last["rows"])
for engine in ("mariadb", "postgresql"):
    assert seen["al", engine] == (["aa", "bb", "cc", "mm"], ["mm"], ["t_aa", "t_bb", "t_cc", "t_mm"]), seen
    shop = ["shop.0001_initial", "shop.0002_note"]
    assert seen["dj", engine] == (shop, shop, ["shop_order"]), seen
    assert seen["mg", engine] == (["216", "217"], ["217"], ["t_216", "t_217"]), seen
'
nothing_left
