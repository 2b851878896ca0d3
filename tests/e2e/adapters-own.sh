#!/bin/sh
# Adapters of the user's own: a tool, and a database engine, walk on a box; a file of the same name wins over the bundled one;
# one with a mistake is told with its place. init --list says what no test has run.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
XDG_CONFIG_HOME=$work/config
export XDG_CONFIG_HOME
own=$XDG_CONFIG_HOME/stepbox/adapters
mkdir -p "$own/databases" project/steps
"$STEPBOX" init --list >out
grep -q '^goose .*(untested: ' out || die "goose is not marked: $(cat out)"
! grep '^knex ' out | grep untested || die "knex is marked"
"$STEPBOX" init --list --json | python3 -c '
import json, sys
tools = {o["tool"]: o for o in map(json.loads, sys.stdin)}
assert len(tools) >= 20, tools
assert "untested" in tools["diesel"] and "tested" in tools["rails"], tools
'
# A tool that keeps its version in a file, and a database that is a directory.
cat >"$own/lines.yaml" <<'YAML'
name: lines
brief: lines of text, step by step
detect: [steps/*.line]
options: {into: schema}
list: ls steps | sed 's/\.line$//'
up: cat "steps/$VERSION.line" >>"${database.directory}/${into}"; echo "$VERSION" >>"${database.directory}/applied"
down: |
  sed -i '$d' "${database.directory}/${into}" "${database.directory}/applied"
current: cat "${database.directory}/applied" 2>/dev/null || true
applied: true
starter: |
  database: textdir
  migrations: {tool: lines}
YAML
cat >"$own/databases/textdir.yaml" <<'YAML'
name: textdir
brief: a directory of texts
options: {directory: "/var/tmp/${name}.text"}
url: file://${directory}
start: mkdir -p "${database.directory}"
look: |
  cat "${directory}/schema" >"$LOOK/dump" 2>/dev/null || :
  printf 'schema\t%s\n' "$(wc -l <"$LOOK/dump")" >"$LOOK/counts"
YAML
for i in 1 2 3; do echo "line $i" >project/steps/$i.line; done
cd project
"$STEPBOX" init >../out || die "init"
grep -q 'a recipe for lines' ../out || die "init: $(cat ../out)"
"$STEPBOX" run >../out 2>../err || die "run: exit $?: $(cat ../out ../err)"
cd ..
"$STEPBOX" schema last:2 >got
printf 'line 1\nline 2\n' | cmp - got || die "the dump of the own database"
"$STEPBOX" show last --json | python3 -c '
import json, sys
r = json.load(sys.stdin)
assert r["tool"] == "lines" and r["engine"] == "textdir", r
assert [s["rows"] for s in r["steps"]][1:] == [{"schema": 1}, {"schema": 2}, {"schema": 3}], r["steps"]
'
(cd project && "$STEPBOX" run --from 3 --to 1 >../out 2>../err) || [ $? = 1 ] || die "down: $(cat out err)"
"$STEPBOX" schema last >got
echo 'line 1' | cmp - got || die "down"
# The bundled sqlite gives way to the user's.
sed 's/^name: textdir/name: sqlite/' "$own/databases/textdir.yaml" >"$own/databases/sqlite.yaml"
(cd project && "$STEPBOX" plan --set database=sqlite) | grep -q 'walk lines on sqlite' || die "the user's sqlite"
(cd project && "$STEPBOX" plan -v --set database=sqlite) | grep -q 'mkdir -p "/var/tmp/.*\.text"' || die "the bundled sqlite won"
printf 'name: sqlite\nbrief: b\nurl: u\nlok: l\n' >"$own/databases/sqlite.yaml"
rc=0
(cd project && "$STEPBOX" plan --set database=sqlite) >out 2>err || rc=$?
[ $rc = 2 ] || die "a mistake: exit $rc"
grep -q 'databases/sqlite.yaml:4:1: lok: no such key; did you mean look?' err || die "$(cat err)"
nothing_left
