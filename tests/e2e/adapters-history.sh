#!/bin/sh
# Each tool's files are found in git's history, as versions spelt the way its list spells them. Without a box.
. "$(dirname "$0")/lib/common.sh"
export GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=n@example.org GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=n@example.org
history_of() { # TOOL "VERSION…" FILE…: each file in a commit of its own
	tool=$1 wanted=$2
	shift 2
	rm -rf repo
	git init -q repo
	for file; do
		mkdir -p "repo/$(dirname "$file")"
		echo "$file" >"repo/$file"
		git -C repo add -A
		git -C repo commit -qm "$file"
	done
	printf 'name: t\nsource: {git: %s}\nmigrations: {tool: %s}\n' "$work/repo" "$tool" >t.yaml
	"$STEPBOX" versions t.yaml >out 2>err || die "$tool: exit $?: $(cat err)"
	got=$(awk 'NR > 1 { printf "%s%s", s, $1; s = " " }' out)
	[ "$got" = "$wanted" ] || die "$tool: $got instead of $wanted"
}
history_of rails '1 20200102' db/migrate/001_a.rb db/migrate/20200102_b.rb db/migrate/README.md
history_of knex '1_a.js 2_b.ts' migrations/1_a.js migrations/2_b.ts migrations/notes.txt
history_of sequelize '1-a.js 2-b.js' migrations/1-a.js migrations/2-b.js
history_of prisma '1_a 2_b' prisma/migrations/1_a/migration.sql prisma/migrations/migration_lock.toml prisma/migrations/2_b/migration.sql
history_of flyway '1 1.2 1.10' src/main/resources/db/migration/V1__a.sql src/main/resources/db/migration/V1.2__b.sql \
	src/main/resources/db/migration/V1.10__c.sql src/main/resources/db/migration/R__d.sql
history_of golang-migrate '1 2 10' migrations/1_a.up.sql migrations/2_b.up.sql migrations/10_c.up.sql
history_of goose '1 2 10' migrations/00001_a.sql migrations/00002_b.go migrations/00002_b_test.go migrations/00010_c.sql
history_of dbmate '001 002' db/migrations/001_a.sql db/migrations/002_b.sql
history_of ecto '1 2' priv/repo/migrations/1_a.exs priv/repo/migrations/2_b.exs
history_of sqlx '1 2' migrations/1_a.up.sql migrations/0002_b.sql
history_of diesel '00000000000000 20180114171611' migrations/00000000000000_a/up.sql migrations/2018-01-14-171611_b/up.sql
history_of phinx '1 2' db/migrations/1_a.php db/migrations/2_b.php
for tool in liquibase typeorm doctrine; do
	sed -i "s/tool: [a-z]*/tool: $tool/" t.yaml
	if "$STEPBOX" versions t.yaml >out 2>err; then die "$tool has a history"; fi
	grep -q "$tool: its adapter does not say which files are versions" err || die "$tool: $(cat err)"
done
