#!/bin/sh
# shellcheck disable=SC2015,SC2016,SC1091 # die ends the script; for the box; sourced
# A tool that is loaded once and forked for each step does what the tool does that is started for each: walks of real Alembic and
# Django projects, cold and warm, up and down, have the same dumps, versions, outcomes and outputs.
. "$(dirname "$0")/lib/common.sh"
needs_boxes

# The parts of a run that must not depend on how it was stepped, in file $2. Times in log lines are no part of it.
story() {
	"$STEPBOX" show --json "$1" >show.json
	python3 - "$2" <<'PY'
import json, sys
run = json.load(open("show.json"))
with open(sys.argv[1], "w") as f:
    print(run["status"], run["detail"], file=f)
    for s in run["steps"]:
        for key in ("ms", "net_ms", "work", "findings"):
            s.pop(key, None)
        print(json.dumps(s, sort_keys=True), file=f)
PY
	"$STEPBOX" log "$1" >log.txt
	sed -n '/^== step/,$p' log.txt | sed -E 's/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:,.]+ [0-9]+/TIME/; s/0x[0-9a-f]{6,}/0x/g' >>"$2"
}
net_steps() { python3 -c 'import json; print(sum(s["net_ms"] is not None for s in json.load(open("show.json"))["steps"]))'; }
task() { python3 -c 'import json, sys; print(*[t[sys.argv[1]] for t in json.load(open("show.json"))["tasks"] if t["kind"] == "warm"])' "$1"; }

# both NAME STATUS WARM-STEPS [ARGS…]: runs ./NAME/stepbox.yaml cold and warm and compares. Leaves show.json of the warm run.
both() {
	name=$1 status=$2 want=$3
	shift 3
	rc=0
	"$STEPBOX" run "$name/stepbox.yaml" --cold "$@" >cold.out 2>&1 || rc=$?
	[ "$rc" = "$status" ] || die "$name cold $*: exit $rc: $(tail -n 30 cold.out)"
	story last cold.story
	[ "$(net_steps)" = 0 ] && [ -z "$(task rc)" ] || die "$name: --cold is not cold"
	rc=0
	"$STEPBOX" run "$name/stepbox.yaml" "$@" >warm.out 2>&1 || rc=$?
	[ "$rc" = "$status" ] || die "$name warm $*: exit $rc: $(tail -n 30 warm.out)"
	story last warm.story
	diff cold.story warm.story >difference || die "$name $*: warm is not as cold: $(head -n 40 difference)"
	[ "$(net_steps)" = "$want" ] || die "$name $*: $(net_steps) steps were warm, not $want: $(cat log.txt)"
	echo "ok: $name $*: $(grep 'tool loaded once' warm.out || echo cold)"
}

recipe() { # NAME PACKAGES; the walk on stdin
	{
		printf 'name: %s\nbox: {ttl: 20m}\nsource: {path: .}\ndatabase: sqlite\npackages: [%s]\n' "$1" "$2"
		cat
	} >"$1/stepbox.yaml"
}

revision() { # N [MORE]
	printf 'from alembic import op\nimport sqlalchemy as sa\nfrom app.models import WIDTH\nrevision = "r%s"\ndown_revision = %s\n' "$1" \
		"$([ "$1" = 1 ] && echo None || echo "\"r$(($1 - 1))\"")"
	printf 'def upgrade():\n    op.create_table("t%s", sa.Column("a", sa.String(WIDTH)))\n    op.execute("INSERT INTO t%s VALUES (%s)")\n' \
		"$1" "$1" "'x'"
	printf '%s' "${2:-}"
	printf 'def downgrade():\n    op.drop_table("t%s")\n' "$1"
}
mkdir -p line/migrations/versions line/app
echo 'import sqlalchemy as sa
from sqlalchemy.orm import declarative_base
WIDTH = 40
Base = declarative_base()
class Thing(Base):
    __tablename__ = "thing"
    id = sa.Column(sa.Integer, primary_key=True)' >line/app/models.py
touch line/app/__init__.py
printf '[alembic]\nscript_location = migrations\nprepend_sys_path = .\nsqlalchemy.url = sqlite:///nowhere\n[loggers]\nkeys = root,alembic
[handlers]\nkeys = console\n[formatters]\nkeys = generic\n[logger_root]\nlevel = WARN\nhandlers = console\n[logger_alembic]\nlevel = INFO
handlers =\nqualname = alembic\n[handler_console]\nclass = StreamHandler\nargs = (sys.stderr,)\nformatter = generic
[formatter_generic]\nformat = %%(levelname)s [%%(name)s] %%(message)s\n' >line/alembic.ini
cat >line/migrations/env.py <<'PY'
"""The environment."""
from logging.config import fileConfig
from sqlalchemy import engine_from_config, pool
from alembic import context
from app.models import Base
import os
fileConfig(context.config.config_file_name)
print("env.py of", os.environ["VERSION"], os.getcwd(), __file__)
engine = engine_from_config(context.config.get_section(context.config.config_ini_section), prefix="sqlalchemy.", poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
PY
for n in 1 2 3 4 5 6; do revision $n >line/migrations/versions/r$n.py; done
recipe line python3-alembic <<'Y'
migrations: {tool: alembic, from: base, to: head}
Y
both line 0 6
both line 0 6 --from r5 --to base # the way up to r5 in one go, and five down
# An env.py that does something as it is imported is not loaded, and walks all the same.
cp -R line talks
sed -i 's/^name: line/name: talks/' talks/stepbox.yaml
echo 'print("imported", __name__)
open("/var/tmp/touched", "a").write("x")' >>talks/app/models.py
both talks 0 6
[ "$(task rc)" = 0 ] || die "a part that is not loaded is no failure"
# A migration that fails, in the middle of its work, and with a way down that is refused.
cp -R line fails
sed -i 's/^name: line/name: fails/' fails/stepbox.yaml
revision 4 '    import sys
    print("before it fails")
    sys.stdout.flush()
    op.execute("INSERT INTO nowhere VALUES (1)")
' >fails/migrations/versions/r4.py
both fails 1 4
# A tool that is not there: cold both ways.
recipe line python3 <<'Y'
migrations: {tool: alembic, from: base, to: head, list: "printf 'r1\\nr2\\n'"}
Y
both line 1 0
[ "$(task rc)" = 1 ] || die "loading what is not there succeeds"
grep -q "warm .*stays cold" warm.out && grep -q "cannot be loaded: .*alembic" warm.out || die "not said why: $(cat warm.out)"

mkdir -p shop/project shop/shop/migrations
touch shop/project/__init__.py shop/shop/__init__.py shop/shop/migrations/__init__.py
cat >shop/manage.py <<'PY'
import os, sys
if __name__ == '__main__':
    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'project.settings')
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
PY
cat >shop/project/settings.py <<'PY'
SECRET_KEY = 'x'
INSTALLED_APPS = ['django.contrib.contenttypes', 'django.contrib.auth', 'shop']
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': '/var/tmp/shop.sqlite'}}
LOGGING = {'version': 1, 'disable_existing_loggers': False, 'handlers': {'f': {'class': 'logging.FileHandler', 'filename': '/var/tmp/shop.log'}},
           'root': {'handlers': ['f'], 'level': 'INFO'}}
DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'
PY
printf 'from django.db import models\nclass Order(models.Model):\n    a = models.IntegerField(null=True)\n' >shop/shop/models.py
migration() { # NAME DEPENDENCY OPERATIONS
	printf 'from django.db import migrations, models\nclass Migration(migrations.Migration):\n    dependencies = [%s]\n    operations = [%s]\n' \
		"$2" "$3" >"shop/shop/migrations/$1.py"
}
migration 0001_initial '' "migrations.CreateModel('Order', [('id', models.AutoField(primary_key=True))])"
migration 0002_a "('shop', '0001_initial')" "migrations.AddField('Order', 'a', models.IntegerField(null=True))"
migration 0003_data "('shop', '0002_a')" \
	"migrations.RunPython(lambda apps, editor: apps.get_model('shop', 'Order').objects.create(), migrations.RunPython.noop)"
recipe shop python3-django <<'Y'
migrations: {tool: django, from: base, to: head}
Y
both shop 0 17
both shop 0 4 --from shop.0003_data --to -3
sed -i '1i print("settings that talk")' shop/project/settings.py
both shop 0 17
nothing_left
