#!/bin/sh
# Liquibase on a box (the npm package holds the program; Java and one small library are Debian's): changesets of XML and SQL
# files, with spaces and equal ids; up, down, ranges, a changeset that does not end well.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/adapters.sh
. "$OLDPWD/tests/e2e/lib/adapters.sh"
needs_boxes
mkdir -p project/lib project/db
npm_modules . liquibase@4.28.1
for jar in liquibase-core sqlite-jdbc picocli snakeyaml opencsv commons-lang3 commons-text commons-io commons-collections4 jaxb-api; do
	cp "node_modules/liquibase/dist/liquibase/internal/lib/$jar.jar" project/lib/
done
rm -rf node_modules
cat >project/liquibase.sh <<'SH'
exec java -XX:TieredStopAtLevel=1 -cp 'lib/*:/usr/share/java/slf4j-api.jar:/usr/share/java/slf4j-nop.jar' liquibase.integration.commandline.LiquibaseCommandLine "$@"
SH
cat >project/db/changelog.xml <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<databaseChangeLog xmlns="http://www.liquibase.org/xml/ns/dbchangelog" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
	xsi:schemaLocation="http://www.liquibase.org/xml/ns/dbchangelog http://www.liquibase.org/xml/ns/dbchangelog/dbchangelog-latest.xsd">
	<changeSet id="1" author="Ada Lovelace">
		<createTable tableName="customers">
			<column name="id" type="int" autoIncrement="true"><constraints primaryKey="true"/></column>
			<column name="name" type="varchar(80)"><constraints nullable="false"/></column>
		</createTable>
	</changeSet>
	<include file="orders.sql" relativeToChangelogFile="true"/>
	<changeSet id="3" author="grace">
		<createIndex tableName="customers" indexName="customers_by_name"><column name="name"/></createIndex>
	</changeSet>
	<changeSet id="4" author="grace">
		<insert tableName="customers"><column name="name" value="Ada"/></insert>
		<insert tableName="customers"><column name="name" value="Grace"/></insert>
		<rollback><delete tableName="customers"/></rollback>
	</changeSet>
	<changeSet id="5" author="grace"><sql>ALTER TABLE customers ADD COLUMN email TEXT DEFAULT 'none'</sql></changeSet>
	<changeSet id="6" author="grace"><sql>CREATE TABLE half (x); CREATE TABLE half (x)</sql></changeSet>
</databaseChangeLog>
XML
cat >project/db/orders.sql <<'SQL'
--liquibase formatted sql
--changeset grace:1
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id));
--rollback DROP TABLE orders;
SQL
cat >project/stepbox.yaml <<'YAML'
name: t
box: {ttl: 20m}
source: {path: .}
packages: [openjdk-17-jre-headless, libslf4j-java]
migrations:
  tool: liquibase
  changelog: db/changelog.xml
  command: sh liquibase.sh
YAML
here init -o - >out
grep -q 'tool: liquibase' out || die "init: $(cat out)"
lb="--changelog-file=db/changelog.xml --url=jdbc:sqlite:/tmp/typed.sqlite"
typed_up() { typed "sh liquibase.sh update-count --count=1 $lb"; }
typed_down() { typed "sh liquibase.sh rollback-count --count=1 $lb"; }
has_down=1
noop=
exercise db/changelog.xml::1::Ada_Lovelace db/orders.sql::1::grace db/changelog.xml::3::grace db/changelog.xml::4::grace \
	db/changelog.xml::5::grace db/changelog.xml::6::grace
