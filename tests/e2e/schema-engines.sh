#!/bin/sh
# What the model of a schema can say, on real servers: of a rich schema every clause is understood, so that a change to each
# table is told without any doubt; what is planted and cannot be said is told as not modelled, and nothing else is.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
mkdir -p project/migrations/mysql project/migrations/postgresql
cd project
cat >migrations/mysql/1.up.sql <<'SQL'
CREATE TABLE p (id bigint unsigned NOT NULL AUTO_INCREMENT, name varchar(64) CHARACTER SET latin1 DEFAULT 'x''y',
	e enum('a','b''c','d,e') NOT NULL DEFAULT 'a', s set('x','y'), n decimal(10,2) DEFAULT 1.5, b tinyint(1),
	ts timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(), dt datetime(6) DEFAULT current_timestamp(6),
	j json, t text, bl blob, g int AS (n * 2) STORED, v int GENERATED ALWAYS AS (id + 1) VIRTUAL COMMENT 'it''s; a "v"',
	inv int INVISIBLE DEFAULT 3, ex int DEFAULT (1 + 2), u uuid DEFAULT uuid(), ip inet6, y year, bi bit(3) DEFAULT b'101',
	ti time(3), f float unsigned zerofill, nt timestamp NULL, bs char(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	PRIMARY KEY (id), UNIQUE KEY uq (name), KEY kx (n, dt DESC), KEY pfx (t(10)), KEY ig (b) COMMENT 'said' IGNORED, FULLTEXT KEY ft (t),
	CONSTRAINT ck CHECK (n > 0 and name <> 'z'), CHECK (b > 0))
	ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8 STATS_PERSISTENT=0 COMMENT='a comment, ''quoted'' \\ and
 newline';
CREATE TABLE d (id int PRIMARY KEY, x int, CONSTRAINT FOREIGN KEY (x) REFERENCES d (id) ON DELETE NO ACTION) CHARSET=latin1;
CREATE TABLE c (a bigint unsigned, b int, pt point NOT NULL, SPATIAL KEY sp (pt), UNIQUE KEY (a, b),
	CONSTRAINT fk FOREIGN KEY (a) REFERENCES p (id) ON DELETE CASCADE ON UPDATE SET NULL, FOREIGN KEY (b) REFERENCES d (id));
CREATE TABLE part (id int, y int, PRIMARY KEY (id, y))
	PARTITION BY RANGE (y) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE);
CREATE TABLE `odd ``name, "x"` (`a, b` int, `lower(a)` int COMMENT 'tab	and \\', `select` int, KEY `a, b` (`a, b`, `select`));
CREATE TABLE sv0 (x int) WITH SYSTEM VERSIONING;
CREATE TABLE old (x int) ENGINE=Aria TRANSACTIONAL=1 PAGE_CHECKSUM=0;
CREATE SEQUENCE seq START WITH 5 INCREMENT BY 2;
CREATE VIEW v AS SELECT p.id, c.b AS bb FROM p JOIN c ON p.id = c.a WHERE p.name <> 'x';
CREATE FUNCTION f(a int, b varchar(10)) RETURNS varchar(20) DETERMINISTIC RETURN concat(a, b);
CREATE PROCEDURE pr(IN x int, OUT y int) COMMENT 'pc' SELECT 1 INTO y;
CREATE TRIGGER tr BEFORE INSERT ON p FOR EACH ROW SET NEW.name = 'a;b';
CREATE EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 00:00:00' DO DELETE FROM p;
CREATE TABLE planted_period (x int, rs timestamp(6) GENERATED ALWAYS AS ROW START, re timestamp(6) GENERATED ALWAYS AS ROW END,
	PERIOD FOR SYSTEM_TIME (rs, re)) WITH SYSTEM VERSIONING;
CREATE TABLE planted_hash (x int, KEY h (x) USING HASH);
SQL
cat >migrations/mysql/2.up.sql <<'SQL'
SET SESSION system_versioning_alter_history = KEEP;
ALTER TABLE p ADD COLUMN zz int;
ALTER TABLE d ADD COLUMN zz int;
ALTER TABLE c ADD COLUMN zz int;
ALTER TABLE part ADD COLUMN zz int;
ALTER TABLE `odd ``name, "x"` ADD COLUMN zz int;
ALTER TABLE sv0 ADD COLUMN zz int;
ALTER TABLE old ADD COLUMN zz int;
ALTER SEQUENCE seq INCREMENT BY 3;
ALTER VIEW v AS SELECT p.id FROM p;
ALTER PROCEDURE pr COMMENT 'another';
DROP FUNCTION f;
DROP TRIGGER tr;
CREATE TRIGGER tr AFTER INSERT ON p FOR EACH ROW DELETE FROM d;
ALTER EVENT ev ON SCHEDULE EVERY 2 DAY;
SQL
cat >migrations/mysql/3.up.sql <<'SQL'
SET SESSION system_versioning_alter_history = KEEP;
ALTER TABLE planted_period ADD COLUMN zz int;
ALTER TABLE planted_hash ADD COLUMN zz int;
SQL
cat >migrations/postgresql/1.up.sql <<'SQL'
CREATE SCHEMA other;
CREATE TYPE keypair_types AS ENUM ('ssh', 'x''509');
CREATE TYPE comp AS (a int, "B c" text);
CREATE DOMAIN posint AS integer DEFAULT 5 NOT NULL CHECK (VALUE > 0);
CREATE SEQUENCE freeseq START 10 INCREMENT 5 CACHE 3 CYCLE MAXVALUE 1000;
CREATE TABLE p (id serial PRIMARY KEY, big bigserial, name varchar(64) DEFAULT 'x''y' NOT NULL, k keypair_types DEFAULT 'ssh',
	arr text[] DEFAULT '{}', ts timestamp DEFAULT now(), tz timestamptz(3), n numeric(10,2) DEFAULT 1.5 CHECK (n > 0), b boolean
	DEFAULT false, j jsonb, ip inet, ci text COLLATE "C", g int GENERATED ALWAYS AS (1 + 2) STORED, dom posint, f double precision,
	d date, tm time(2), by bytea, u uuid DEFAULT gen_random_uuid(), iv interval day to second(2), "Quoted Col" int, "order" int,
	bt bit(3), vb bit varying(5), c1 "char", x xml, m money, r int4range, c char(2),
	CONSTRAINT ck CHECK (name <> 'z' AND id > 0), UNIQUE (name, big), CONSTRAINT uqd UNIQUE (ip) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT uqi UNIQUE (u) INCLUDE (f), EXCLUDE USING gist (r WITH &&));
COMMENT ON TABLE p IS 'a ''comment'' with
newline';
COMMENT ON COLUMN p.name IS 'c	tab \ back';
ALTER TABLE p ALTER COLUMN by SET STORAGE EXTERNAL, ALTER COLUMN n SET STATISTICS 500;
CREATE TABLE p2 (x int, y bigint, PRIMARY KEY (x, y));
CREATE TABLE c (id int GENERATED ALWAYS AS IDENTITY, id2 bigint GENERATED BY DEFAULT AS IDENTITY (START 5), a int, b bigint,
	PRIMARY KEY (id), CONSTRAINT fk FOREIGN KEY (a) REFERENCES p (id) ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY
	DEFERRED, FOREIGN KEY (a, b) REFERENCES p2 (x, y) MATCH FULL) WITH (fillfactor=70, autovacuum_enabled=false);
ALTER TABLE c ADD CONSTRAINT nv CHECK (a > 1) NOT VALID;
CREATE INDEX ix1 ON p (lower(name), n DESC NULLS LAST, ts NULLS FIRST) WHERE n > 1 AND b;
CREATE INDEX ix2 ON p USING gin (j jsonb_path_ops);
CREATE INDEX ix3 ON p USING hash (name);
CREATE INDEX ix4 ON p (name text_pattern_ops, name COLLATE "C") INCLUDE (f) WITH (fillfactor=50);
CREATE UNIQUE INDEX ux5 ON p (f, (n + 1));
CREATE UNIQUE INDEX ux6 ON p (d) NULLS NOT DISTINCT;
COMMENT ON INDEX ux6 IS 'an index';
ALTER TABLE p CLUSTER ON ux6;
CREATE TABLE other.t (a int UNIQUE, b int REFERENCES other.t (a));
CREATE TABLE "Odd ""name, x" ("a, b" int UNIQUE, "lower(a)" int);
CREATE TABLE pt (a int PRIMARY KEY, b int) PARTITION BY RANGE (a);
CREATE TABLE pt1 PARTITION OF pt FOR VALUES FROM (1) TO (10);
CREATE TABLE ptd PARTITION OF pt DEFAULT;
CREATE INDEX ON pt (b);
CREATE UNLOGGED TABLE ul (a int);
CREATE TABLE inh (z int) INHERITS (p2);
CREATE TABLE rls (a int);
ALTER TABLE rls ENABLE ROW LEVEL SECURITY;
ALTER TABLE rls FORCE ROW LEVEL SECURITY;
ALTER TABLE rls REPLICA IDENTITY FULL;
CREATE VIEW v AS SELECT id, name FROM p WHERE n > 1;
CREATE MATERIALIZED VIEW mv AS SELECT id, count(*) AS n FROM p GROUP BY id;
CREATE UNIQUE INDEX mvx ON mv (id);
CREATE FUNCTION trf() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name = 'a;b'; RETURN NEW; END $$;
CREATE TRIGGER tr BEFORE INSERT OR UPDATE OF name ON p FOR EACH ROW WHEN (NEW.n > 1) EXECUTE FUNCTION trf();
CREATE FUNCTION f(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT a; SELECT CASE WHEN a > 1 THEN 1
	ELSE 2 END; END;
CREATE PROCEDURE pr(INOUT x int) LANGUAGE sql AS 'SELECT 1';
CREATE TABLE planted_columns (a int, b int, FOREIGN KEY (a, b) REFERENCES p2 (x, y) ON DELETE SET NULL (b));
CREATE TABLE planted (a int);
CREATE RULE planted_rule AS ON INSERT TO planted DO ALSO NOTHING;
CREATE POLICY planted_policy ON planted USING (a > 1);
CREATE AGGREGATE planted_aggregate (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
COMMENT ON VIEW v IS 'planted';
SQL
cat >migrations/postgresql/2.up.sql <<'SQL'
ALTER TABLE p ADD COLUMN zz int;
ALTER TABLE p2 ADD COLUMN zz int;
ALTER TABLE c ADD COLUMN zz int;
ALTER TABLE other.t ADD COLUMN zz int;
ALTER TABLE "Odd ""name, x" ADD COLUMN zz int;
ALTER TABLE pt ADD COLUMN zz int;
ALTER TABLE ul ADD COLUMN zz int;
ALTER TABLE inh ADD COLUMN zzz int;
ALTER TABLE rls ADD COLUMN zz int;
ALTER TABLE planted ADD COLUMN zz int;
ALTER TYPE keypair_types ADD VALUE 'new';
ALTER DOMAIN posint DROP NOT NULL;
ALTER SEQUENCE freeseq CACHE 4;
CREATE OR REPLACE VIEW v AS SELECT id, name FROM p WHERE n > 2;
DROP PROCEDURE pr;
ALTER TABLE p DISABLE TRIGGER tr;
SQL
cat >migrations/postgresql/3.up.sql <<'SQL'
ALTER TABLE planted_columns ADD COLUMN zz int;
DROP RULE planted_rule ON planted;
CREATE RULE planted_rule AS ON DELETE TO planted DO ALSO NOTHING;
DROP POLICY planted_policy ON planted;
DROP AGGREGATE planted_aggregate (int);
COMMENT ON VIEW v IS 'planted again';
COMMENT ON CONSTRAINT planted_columns_a_b_fkey ON planted_columns IS 'planted';
COMMENT ON INDEX ux6 IS 'another';
SQL
cat >stepbox.yaml <<'END'
name: m
box: {ttl: 20m}
source: {path: .}
database: mariadb
migrations: {tool: plain-sql}
END
"$STEPBOX" run --vary database=mariadb,postgresql >../out 2>&1 || die "run: exit $?: $(cat ../out)"
cd ..
for step in 1:2 2:3; do
	for run in m-1 m-2; do
		"$STEPBOX" diff $run:${step%:*} $run:${step#*:} --json >$run.$step.json || [ $? = 1 ] || die "diff $run $step: $(cat $run.$step.json)"
	done
done
python3 - <<'END'
import json

def changes(run, step):
    d = json.load(open(f"{run}.{step}.json"))
    assert d["complete"], d
    return d["changes"]

def unmodelled(cs):
    return {(c["kind"], c["table"] or c["name"]) if c["kind"] == "table" else (c["kind"], c["name"]) for c in cs
            if c["class"] == "unmodelled"}

# Every table changed, and nothing about any of them is in doubt.
for run, tables in ("m-1", 7), ("m-2", 12):
    cs = changes(run, "1:2")
    assert not unmodelled(cs), [c for c in cs if c["class"] == "unmodelled"]
    added = {c["table"] for c in cs if c["op"] == "add" and c["kind"] == "column"}
    assert len(added) == tables, (run, sorted(added))
    others = {c["name"] for c in cs if c["kind"] not in ("column", "table")}
    wanted = {"seq", "v", "pr", "f", "tr", "ev"} if run == "m-1" else {"keypair_types", "posint", "freeseq", "v", "tr"}
    assert wanted <= {n.split("(")[0] for n in others}, (run, others)

assert unmodelled(changes("m-1", "2:3")) == {("table", "planted_period"), ("table", "planted_hash")}, changes("m-1", "2:3")
names = {name for kind, name in unmodelled(changes("m-2", "2:3"))}
assert names == {"planted_columns", "planted_rule", "planted_policy", "planted_aggregate", "VIEW v",
                 "CONSTRAINT planted_columns_a_b_fkey ON planted_columns"}, changes("m-2", "2:3")
END
nothing_left
