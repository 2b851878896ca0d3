#!/bin/sh
# Alembic on a box: up, down, ranges, a refusal, a migration that does not end well, a silent no-op; then a history with two
# branches and a merge, where the database is at two revisions at once.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/adapters.sh
. "$OLDPWD/tests/e2e/lib/adapters.sh"
needs_boxes
mkdir -p project/line/versions
cat >project/line/env.py <<'PY'
from alembic import context
from sqlalchemy import create_engine
with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
PY
cp -R project/line project/tree
for name in line tree; do
	printf '[alembic]\nscript_location = %s\nsqlalchemy.url = sqlite:////nowhere/at/all\n' $name >project/$name.ini
	printf '[alembic]\nscript_location = %s\nsqlalchemy.url = sqlite:////tmp/typed.sqlite\n' $name >project/typed-$name.ini
done
mv project/line.ini project/alembic.ini
revision() { # DIRECTORY REVISION DOWN_REVISION UP DOWN
	printf 'from alembic import op\nimport sqlalchemy as sa\nrevision = "%s"\ndown_revision = %s\ndef upgrade():\n    %s\ndef downgrade():\n    %s\n' \
		"$2" "$3" "$4" "$5" >"project/$1/versions/$2_x.py"
}
revision line aa01 None 'op.create_table("customers", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(80), nullable=False))' \
	'op.drop_table("customers")'
revision line 0b02 '"aa01"' 'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True), sa.Column("customer_id", sa.Integer, sa.ForeignKey("customers.id")))' \
	'op.drop_table("orders")'
revision line cc03 '"0b02"' 'op.create_index("customers_by_name", "customers", ["name"])' 'op.drop_index("customers_by_name")'
revision line 0d04 '"cc03"' "op.execute(\"INSERT INTO customers (name) VALUES ('Ada'), ('Grace')\")" 'op.execute("DELETE FROM customers")'
revision line ee05 '"0d04"' 'op.add_column("customers", sa.Column("email", sa.String, server_default="none"))' 'raise NotImplementedError()'
revision line 0f06 '"ee05"' 'op.execute("CREATE TABLE half (x)"); op.execute("CREATE TABLE half (x)")' 'pass'
cat >project/stepbox.yaml <<'YAML'
name: t
box: {ttl: 20m}
source: {path: .}
packages: [python3-alembic]
migrations: {tool: alembic}
YAML
here init -o - >out
grep -q 'tool: alembic' out || die "init: $(cat out)"
typed_up() { typed "python3 -m alembic.config -c typed-line.ini upgrade $1"; }
typed_down() { typed "python3 -m alembic.config -c typed-line.ini downgrade $2"; }
has_down=1
# shellcheck disable=SC2016 # for the box
noop='V=$VERSION; [ $V != 0d04 ] || V=0b02; sed "s|^sqlalchemy.url.*|sqlalchemy.url = ${database.url}|" alembic.ini >own.ini; python3 -m alembic.config -c own.ini upgrade $V'
exercise aa01 0b02 cc03 0d04 ee05 0f06

for spec in 'aa None' 'bb "aa"' 'cc "aa"' 'mm ("cc","bb")' 'nn "mm"'; do
	revision tree "${spec%% *}" "${spec#* }" "op.create_table('t_${spec%% *}', sa.Column('a', sa.Integer))" "op.drop_table('t_${spec%% *}')"
done
walks 'aa bb cc mm nn' here run --set migrations.config=tree.ini
"$STEPBOX" show last --json | python3 -c '
import json, sys
at = [sorted(s["versions"]) for s in json.load(sys.stdin)["steps"]]
assert at == [[], ["aa"], ["bb"], ["bb", "cc"], ["mm"], ["nn"]], at'
walks 'nn mm cc' here run --set migrations.config=tree.ini --from nn --to bb
"$STEPBOX" show last --json | python3 -c '
import json, sys
at = [sorted(s["versions"]) for s in json.load(sys.stdin)["steps"]]
assert at == [["nn"], ["mm"], ["bb", "cc"], ["bb"]], at'
nothing_left
