#!/bin/sh
# Django on a box: up, down, ranges, an irreversible migration, one that does not end well, a silent no-op.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/adapters.sh
. "$OLDPWD/tests/e2e/lib/adapters.sh"
needs_boxes
mkdir -p project/shop/migrations
touch project/shop/__init__.py project/shop/migrations/__init__.py project/shop/models.py
cat >project/settings.py <<'PY'
import os
SECRET_KEY = 'x'
INSTALLED_APPS = ['shop']
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.environ['DB_FILE']}}
DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'
PY
cat >project/manage.py <<'PY'
import os, sys
os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
PY
migration() { # NAME DEPENDENCY OPERATIONS
	printf 'from django.db import migrations, models\nclass Migration(migrations.Migration):\n    dependencies = [%s]\n    operations = [%s]\n' \
		"${2:+("'shop', '$2'")}" "$3" >"project/shop/migrations/$1.py"
}
migration 0001_customers '' "migrations.CreateModel('Customer', [('id', models.AutoField(primary_key=True)),
	('name', models.CharField(max_length=80))], {'db_table': 'customers'})"
migration 0002_orders 0001_customers "migrations.CreateModel('Order', [('id', models.AutoField(primary_key=True)),
	('customer', models.ForeignKey('Customer', models.CASCADE))], {'db_table': 'orders'})"
migration 0003_by_name 0002_orders "migrations.AddIndex('Customer', models.Index(fields=['name'], name='customers_by_name'))"
migration 0004_first 0003_by_name "migrations.RunSQL(\"INSERT INTO customers (name) VALUES ('Ada'), ('Grace')\", 'DELETE FROM customers')"
migration 0005_email 0004_first "migrations.AddField('Customer', 'email', models.CharField(max_length=80, default='none')),
	migrations.RunPython(lambda apps, editor: None)"
migration 0006_broken 0005_email "migrations.RunSQL('CREATE TABLE half (x); CREATE TABLE half (x)')"
cat >project/stepbox.yaml <<'YAML'
name: t
box: {ttl: 20m}
source: {path: .}
packages: [python3-django]
env: {DB_FILE: "${database.file}"}
migrations: {tool: django}
YAML
here init -o - >out
grep -q 'tool: django' out || die "init: $(cat out)"
typed_up() { typed "DB_FILE=/tmp/typed.sqlite python3 manage.py migrate shop ${1#shop.}"; }
typed_down() {
	target=${2#shop.}
	[ "$target" != base ] || target=zero
	typed "DB_FILE=/tmp/typed.sqlite python3 manage.py migrate shop $target"
}
has_down=1
# shellcheck disable=SC2016 # for the box
noop='V=${VERSION#shop.}; [ $V != 0004_first ] || V=0003_by_name; python3 manage.py migrate shop $V'
exercise shop.0001_customers shop.0002_orders shop.0003_by_name shop.0004_first shop.0005_email shop.0006_broken
