# SPDX-License-Identifier: MIT
# Rows for empty tables: reads how many rows each table has and what the tables look like, prints INSERTs.
#
#     SKIP=TABLES awk -v engine=sqlite -v rows=20 -v seed=1 -v map=FILE [-v only=FILE] -f fill.awk COUNTS TABLES
#
# COUNTS: "table<TAB>rows…" lines; the tables with 0 are filled. TABLES: lines of fields with TAB between them, in which a
# backslash, TAB and LF are \\ \t \n; the first field says what it is:
#
#     C table column type notnull(1|0) how     in the table's order; how: "", default (has one), generated, or always (numbered
#                                              by the engine, which takes other numbers only when told to)
#     U table key column                       of a primary key, a unique constraint or index; columns in order
#     F table key column parent column         of a foreign key
#     L table column label                     of an enumeration
#     K table text                             of a check, or of the whole CREATE TABLE
#
# A table is one line of output (with `only`, the tables in this file, a line a row: some may go in where others do not).
# map gets "line<TAB>table" for each. Everything is made from seed and names: the same tables get the same rows.
# POSIX awk; mawk has no gensub, no length(array) and no integers beyond 2^53.
BEGIN {
	FS = "\t"
	for (i = 1; i < 256; i++)
		ord[sprintf("%c", i)] = i
	n_tables = line = 0
	while (only != "" && (getline name < only) > 0)
		wanted[substr(name, 1, index(name "\t", "\t") - 1)] = 1
	n = split(ENVIRON["SKIP"], words, "\n")
	for (i = 1; i <= n; i++)
		skipped[words[i]] = 1
}

FILENAME == ARGV[1] {
	count[$1] = $2 + 0
	next
}

$1 == "C" {
	if (!($2 in n_cols))
		tables[++n_tables] = $2
	c = ++n_cols[$2]
	col[$2, c] = $3
	at[$2, $3] = c
	low[$2, tolower($3)] = c
	type[$2, c] = tolower(plain($4))
	full[$2, c] = plain($4)
	notnull[$2, c] = $5 + 0
	how[$2, c] = $6 == "generated" ? $6 : ""
	has_default[$2, c] = $6 == "default"
	if ($6 == "always")
		overriding[$2] = " OVERRIDING SYSTEM VALUE"
	next
}
$1 == "U" {
	if (!(($2, $3) in u_n))
		u_key[$2, ++n_u[$2]] = $3
	u_col[$2, $3, ++u_n[$2, $3]] = $4
	next
}
$1 == "F" {
	if (!(($2, $3) in f_n))
		f_key[$2, ++n_f[$2]] = $3
	n = ++f_n[$2, $3]
	f_col[$2, $3, n] = $4
	f_parent[$2, $3] = $5
	f_to[$2, $3, n] = $6
	next
}
$1 == "L" {
	add_choice($2, at[$2, $3], text($4))
	next
}
$1 == "K" {
	checks[$2] = checks[$2] plain($3) " ;\n"
	next
}

END {
	for (i = 1; i <= n_tables; i++)
		if (is_empty(tables[i]) || (only != "" && tables[i] in wanted))
			prepare(tables[i])
	for (i = 1; i <= n_tables; i++)
		if (tables[i] in prepared)
			visit(tables[i])
	preamble()
	for (i = 1; i <= n_order; i++)
		fill(order[i])
	if (engine == "mariadb")
		say("COMMIT;")
	if (map != "")
		close(map)
}

function is_empty(t) {
	return (t in count) && count[t] == 0 && !(t in skipped) && (only == "" || t in wanted)
}

# --- words ---

# A field as it is in the database.
function plain(s,    out, i, c) {
	if (!index(s, "\\"))
		return s
	out = ""
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		if (c == "\\") {
			c = substr(s, ++i, 1)
			c = c == "t" ? "\t" : c == "n" ? "\n" : c == "r" ? "\r" : c
		}
		out = out c
	}
	return out
}

# A string literal; the statements of one table must stay on one line.
function text(s,    out) {
	out = plain(s)
	gsub(/'/, "''", out)
	if (engine == "mariadb")
		gsub(/\\/, "\\\\", out)
	gsub(/\n/, " ", out)
	return "'" out "'"
}

function quoted(s) {
	s = plain(s)
	if (engine == "mariadb") {
		gsub(/`/, "``", s)
		return "`" s "`"
	}
	gsub(/"/, "\"\"", s)
	return "\"" s "\""
}

# On PostgreSQL a table has its schema in front unless that is "public".
function quoted_table(s,    dot) {
	dot = engine == "postgresql" ? index(s, ".") : 0
	return dot ? quoted(substr(s, 1, dot - 1)) "." quoted(substr(s, dot + 1)) : quoted(s)
}

# 0 … 4294967295 of a text: multiplications stay below 2^53.
function hash(s,    h, i) {
	h = 5381 + seed
	for (i = 1; i <= length(s); i++)
		h = (h * 33 + ord[substr(s, i, 1)]) % 4294967296
	for (i = 0; i < 3; i++)
		h = (h * 69069 + 1) % 4294967296
	return int(h / 16)
}

# The same for row i of something; texts are gone through once.
function hash_of(name, i,    h) {
	if (!(name in hashes))
		hashes[name] = hash(name)
	h = (hashes[name] + i * 40503) % 4294967296
	h = (h * 69069 + 1) % 4294967296
	return int((h * 69069 + 1) % 4294967296 / 16)
}

# --- what the columns want ---

function add_choice(t, c, literal) {
	if (c && !((t, c, literal) in chosen)) {
		chosen[t, c, literal] = 1
		choice[t, c, n_choices[t, c]++] = literal
	}
}

# Numbers in the parentheses of a type: n1, n2 (-1: none).
function measure(s,    inside) {
	n1 = n2 = -1
	if (!match(s, /\([ 0-9,-]+\)/))
		return
	split(substr(s, RSTART + 1, RLENGTH - 2), inside, ",")
	n1 = inside[1] + 0
	if (2 in inside)
		n2 = inside[2] + 0
}

# enum('a','b''c') and set(…)
function read_labels(t, c, s,    i, ch, label, in_label) {
	for (i = index(s, "(") + 1; i <= length(s); i++) {
		ch = substr(s, i, 1)
		if (!in_label) {
			in_label = ch == "'"
			label = ""
		} else if (ch == "'" && substr(s, i + 1, 1) == "'") {
			label = label "''"
			i++
		} else if (ch == "'") {
			add_choice(t, c, "'" label "'")
			in_label = 0
		} else {
			label = label ch
		}
	}
}

function family_of(s) {
	if (s ~ /\[\]$/) return "array"
	if (s ~ /^(enum|set) *\(/) return "enum"
	if (s ~ /^bool/ || s ~ /^tinyint\(1\)/) return "bool"
	if (s ~ /range$/) return "range"
	if (s ~ /interval/) return "interval"
	if (s ~ /^point/) return "point"
	if (s ~ /int/ || s ~ /serial/ || s == "oid") return "int"
	if (s ~ /json/) return "json"
	if (s ~ /uuid/) return "uuid"
	if (s ~ /^bit/) return "bit"
	if (s ~ /^inet6/) return "inet6"
	if (s ~ /^(inet|cidr)/) return "inet"
	if (s ~ /^macaddr/) return "mac"
	if (s ~ /xml/) return "xml"
	if (s ~ /blob|binary|bytea/) return "blob"
	if (s ~ /char|text|clob|name/) return "text"
	if (s ~ /timestamp|datetime/) return "stamp"
	if (s ~ /^date/) return "date"
	if (s ~ /^time/) return "time"
	if (s ~ /^year/) return "year"
	if (s ~ /^(dec|numeric|number|money|fixed)/) return "decimal"
	if (s ~ /real|floa|doub/) return "real"
	if (s == "" || engine == "sqlite") return "int"
	return "text"
}

function prepare(t,    c, k, i, n, f) {
	prepared[t] = 1
	for (c = 1; c <= n_cols[t]; c++) {
		family[t, c] = family_of(type[t, c])
		measure(type[t, c])
		len[t, c] = n1
		scale[t, c] = n2
		if (family[t, c] == "enum")
			read_labels(t, c, full[t, c])
	}
	if (t in checks)
		read_checks(t, checks[t])
	for (k = 1; k <= n_f[t]; k++)
		for (i = 1; i <= f_n[t, f_key[t, k]]; i++) {
			c = at[t, f_col[t, f_key[t, k], i]]
			if (c && !((t, c) in fk_of)) {
				fk_of[t, c] = f_key[t, k]
				fk_no[t, c] = i
			}
		}
}

# --- checks ---
# Not understood but recognised: column IN (…), = ANY (ARRAY[…]), BETWEEN, <, <=, >, >= with a number, json_valid(column).
# What the database says no to is told in the end.

function tokens(s,    n, ch, word, q, i) {
	n = 0
	split("", token)
	split("", kind)
	s = substr(s, 1, 65536)
	while (s != "") {
		ch = substr(s, 1, 1)
		if (match(s, /^[ \t\r\n]+/)) {
			s = substr(s, RLENGTH + 1)
			continue
		}
		if (ch == "'" || ch == "\"" || ch == "`") {
			word = ""
			for (i = 2; i <= length(s); i++) {
				q = substr(s, i, 1)
				if (q == ch && substr(s, i + 1, 1) == ch)
					i++
				else if (q == ch)
					break
				word = word q
			}
			token[++n] = word
			kind[n] = ch == "'" ? "string" : "name"
			s = substr(s, i + 1)
		} else if (match(s, /^::[ ]*("[^"]*"|[A-Za-z_]+( varying| precision| without time zone| with time zone)?)(\([0-9,]+\))?(\[\])?/)) {
			s = substr(s, RLENGTH + 1) # a cast
		} else if (match(s, /^-?[0-9]+(\.[0-9]+)?/)) {
			token[++n] = substr(s, 1, RLENGTH)
			kind[n] = "number"
			s = substr(s, RLENGTH + 1)
		} else if (match(s, /^[A-Za-z_\200-\377][A-Za-z0-9_$\200-\377]*/)) {
			token[++n] = substr(s, 1, RLENGTH)
			kind[n] = "word"
			s = substr(s, RLENGTH + 1)
		} else if (match(s, /^(<=|>=|<>|!=)/)) {
			token[++n] = substr(s, 1, 2)
			kind[n] = "op"
			s = substr(s, 3)
		} else {
			token[++n] = ch
			kind[n] = "op"
			s = substr(s, 2)
		}
	}
	return n
}

function column_at(t, i) {
	if (kind[i] == "name" && (t, token[i]) in at)
		return at[t, token[i]]
	if ((kind[i] == "word" || kind[i] == "name") && (t, tolower(token[i])) in low)
		return low[t, tolower(token[i])]
	return 0
}

function read_checks(t, s,    n, i, j, c, word) {
	n = tokens(s)
	for (i = 1; i <= n; i++) {
		c = column_at(t, i)
		if (!c)
			continue
		if (i > 2 && token[i - 1] == "(" && tolower(token[i - 2]) == "json_valid")
			family[t, c] = "json"
		if (i > 2 && token[i - 1] == "(" && tolower(token[i - 2]) ~ /length$/) {
			if (token[i + 1] == ")" && kind[i + 3] == "number")
				read_length(t, c, token[i + 2], token[i + 3] + 0)
			continue
		}
		for (j = i + 1; j <= n && token[j] == ")" && kind[j] == "op"; j++)
			;
		word = kind[j] == "word" ? toupper(token[j]) : token[j]
		if (word == "IN" && token[j + 1] == "(")
			read_list(t, c, j + 2, n)
		else if (word == "=" && toupper(token[j + 1]) == "ANY") {
			for (j += 2; j <= n && (token[j] == "(" || toupper(token[j]) == "ARRAY"); j++)
				;
			if (token[j] == "[")
				read_list(t, c, j + 1, n)
		} else if (word == "=" && (kind[j + 1] == "string" || kind[j + 1] == "number") && token[j + 2] != "|")
			read_list(t, c, j + 1, j + 1)
		else if (word == "BETWEEN" && kind[j + 1] == "number" && kind[j + 3] == "number") {
			bound(t, c, ">=", token[j + 1] + 0)
			bound(t, c, "<=", token[j + 3] + 0)
		} else if ((word == "<" || word == "<=" || word == ">" || word == ">=") && kind[j + 1] == "number")
			bound(t, c, word, token[j + 1] + 0)
	}
}

function read_list(t, c, i, n) {
	for (; i <= n && token[i] != ")" && token[i] != "]"; i++)
		if (kind[i] == "string")
			add_choice(t, c, "'" doubled(token[i]) "'")
		else if (kind[i] == "number")
			add_choice(t, c, token[i])
}

function doubled(s) {
	gsub(/'/, "''", s)
	gsub(/\n/, " ", s)
	return s
}

function bound(t, c, op, n) {
	if (op == ">" || op == ">=") {
		n += op == ">" ? 1 : 0
		if (!((t, c) in lo) || lo[t, c] < n)
			lo[t, c] = n
	} else {
		n -= op == "<" ? 1 : 0
		if (!((t, c) in hi) || hi[t, c] > n)
			hi[t, c] = n
	}
}

function read_length(t, c, op, n) {
	if (op == "<" || op == "<=" || op == "=")
		len[t, c] = op == "<" ? n - 1 : n
	if (op == ">" || op == ">=" || op == "=")
		least[t, c] = op == ">" ? n + 1 : n
}

# --- order, and how many rows ---

function may_be_null(t, key,    i) {
	for (i = 1; i <= f_n[t, key]; i++)
		if (notnull[t, at[t, f_col[t, key, i]]])
			return 0
	return 1
}

# Whether rows of p must have rows of t, by way of columns that cannot be NULL.
function needs(p, t,    k, q) {
	if (p == t)
		return 1
	if (p in seen)
		return 0
	seen[p] = 1
	for (k = 1; k <= n_f[p]; k++) {
		q = f_parent[p, f_key[p, k]]
		if (q != p && q in prepared && !may_be_null(p, f_key[p, k]) && needs(q, t))
			return 1
	}
	return 0
}

# Parents first. In a circle a column that may be NULL is; else the checking is put off.
function visit(t,    k, p) {
	if (t in state)
		return
	state[t] = 1
	for (k = 1; k <= n_f[t]; k++) {
		p = f_parent[t, f_key[t, k]]
		if (p == t || !(p in prepared))
			continue
		if (may_be_null(t, f_key[t, k]) && !(p in state)) {
			split("", seen)
			if (needs(p, t)) {
				circle[t, f_key[t, k]] = 1
				continue
			}
		}
		if ((p in state) && state[p] == 1)
			circle[t, f_key[t, k]] = 1
		else
			visit(p)
	}
	state[t] = 2
	order[++n_order] = t
	amount(t)
}

function rows_in(p) {
	return p in will ? will[p] : p in count ? count[p] : 0
}

# How many values a column can have.
function domain(t, c,    p, k) {
	if ((t, c) in fk_of) {
		k = fk_of[t, c]
		p = f_parent[t, k]
		if (p == t || (t, k) in circle)
			return rows
		return rows_in(p)
	}
	if ((t, c) in n_choices)
		return n_choices[t, c]
	if (family[t, c] == "bool")
		return 2
	if ((family[t, c] == "int" || family[t, c] == "decimal") && (t, c) in hi)
		return hi[t, c] - ((t, c) in lo ? lo[t, c] : 0) + 1
	if (family[t, c] == "text" && len[t, c] == 1)
		return 36
	if (family[t, c] == "decimal" && len[t, c] > 0 && len[t, c] < 3 && scale[t, c] <= 0)
		return 10 ^ len[t, c] - 1
	return 1000000
}

# The columns of each unique key count through its combinations, as the digits of a number do.
function amount(t,    k, key, i, c, d, all, wide) {
	will[t] = rows
	for (k = 1; k <= n_u[t]; k++) {
		key = u_key[t, k]
		all = 1
		wide = 0
		for (i = 1; i <= u_n[t, key]; i++) {
			c = at[t, u_col[t, key, i]]
			if (!c || how[t, c] != "" || (t, c) in unique) {
				wide = 1
				break
			}
			if (!wide && domain(t, c) >= rows)
				wide = -c
		}
		if (wide < 0)
			unique[t, -wide] = 1
		if (wide)
			continue
		for (i = 1; i <= u_n[t, key]; i++) {
			c = at[t, u_col[t, key, i]]
			d = domain(t, c)
			if (!((t, c) in radix)) {
				radix[t, c] = all
				wrap[t, c] = d
			}
			all *= d
			if (all > 1000000)
				break
		}
		if (all < will[t])
			will[t] = all
	}
	for (k = 1; k <= n_f[t]; k++) {
		key = f_key[t, k]
		if (f_parent[t, key] != t && !((t, key) in circle) && rows_in(f_parent[t, key]) == 0)
			orphan[t, key] = 1
	}
	# A text that has a default is seldom free text: a later check knows what it may be.
	for (c = 1; c <= n_cols[t]; c++)
		if (has_default[t, c] && family[t, c] == "text" && pick(t, c, 0) < 0 && !((t, c) in fk_of) && !((t, c) in n_choices))
			how[t, c] = "default"
}

# --- values ---

# The number of the value that row i has in a column.
function pick(t, c, i) {
	if ((t, c) in unique)
		return i
	if ((t, c) in radix)
		return int(i / radix[t, c]) % (wrap[t, c] > 0 ? wrap[t, c] : 1)
	return -1
}

function two(n) {
	return sprintf("%02d", n)
}

function day(i) {
	return sprintf("%04d-%02d-%02d", 2010 + int(i / 336) % 100, 1 + int(i / 28) % 12, 1 + i % 28)
}

function clock_of(i) {
	return two(int(i / 3600) % 24) ":" two(int(i / 60) % 60) ":" two(i % 60)
}

function base36(n,    s) {
	s = ""
	do {
		s = substr("0123456789abcdefghijklmnopqrstuvwxyz", n % 36 + 1, 1) s
		n = int(n / 36)
	} while (n > 0)
	return s
}

function word_for(t, c, i,    s, most, name, tail) {
	most = len[t, c] > 0 && len[t, c] < 60 ? len[t, c] : 60
	name = tolower(plain(col[t, c]))
	gsub(/[^a-z0-9_]/, "", name)
	if (name ~ /mail/ && most >= 16)
		s = "u" i "@example.org"
	else if (name ~ /uuid|guid/ && most >= 36)
		s = sprintf("00000000-0000-4000-8000-%012x", i + 1)
	else if (name ~ /ur[il]$/ && most >= 24)
		s = "http://example.org/" i
	else {
		tail = base36(i)
		if (length(tail) + 1 < most)
			s = substr(name, 1, most - length(tail) - 1) "-" tail
		else
			s = substr(tail, 1, most)
	}
	while ((t, c) in least && length(s) < least[t, c])
		s = s "x"
	return s
}

# How row i looks in a column that no foreign key minds, as a literal. style: other ways, tried when this one is not taken.
function value(t, c, i, style,    k, h, f, n, l) {
	k = pick(t, c, i)
	h = hash_of(t SUBSEP col[t, c], i)
	f = family[t, c]
	if (k < 0 && !notnull[t, c] && (style == 1 || (i > 0 && h % 5 == 0)))
		return "NULL"
	if ((t, c) in n_choices)
		return choice[t, c, (k >= 0 ? k : h) % n_choices[t, c]]
	if (f == "enum")
		return "NULL"
	if (k < 0)
		k = style >= 2 ? (style == 2 ? c : n_cols[t] - c) : h % 100
	if (f == "bool") {
		n = k % 2
		return engine == "postgresql" ? (n ? "true" : "false") : n ""
	}
	if (f == "int" || f == "decimal" || f == "real") {
		# Migrations that bring rows of their own begin at 1: keep out of their way.
		n = k + 1 + ((t, c) in unique ? above(t, c) : 0)
		l = 1
		if ((t, c) in lo || (t, c) in hi) {
			l = (t, c) in lo ? lo[t, c] : (hi[t, c] < 1 ? hi[t, c] - 99 : 1)
			n = l + ((t, c) in hi && hi[t, c] >= l ? k % (hi[t, c] - l + 1) : k)
		}
		if (f == "real")
			return sprintf("%.0f.5", n)
		if (f == "decimal" && len[t, c] > 0 && !((t, c) in lo) && !((t, c) in hi))
			return decimal(n, len[t, c] - (scale[t, c] > 0 ? scale[t, c] : 0), scale[t, c])
		return sprintf("%.0f", n)
	}
	if (f == "json") return "'{\"n\": " k "}'"
	if (f == "uuid") return sprintf("'00000000-0000-4000-8000-%012x'", k + 1)
	if (f == "stamp") return "'" day(c) " " clock_of(k) "'"
	if (f == "date") return "'" day(k + c) "'"
	if (f == "time") return "'" clock_of(k) "'"
	if (f == "year") return 2000 + k % 100 ""
	if (f == "interval") return "'" k " minutes'"
	if (f == "inet") return "'192.0." int(k / 250) % 250 "." (1 + k % 250) "'"
	if (f == "inet6") return sprintf("'2001:db8::%x'", k + 1)
	if (f == "mac") return sprintf("'02:00:00:00:%02x:%02x'", int(k / 256) % 256, k % 256)
	if (f == "array") return "'{}'"
	if (f == "range") return "'empty'"
	if (f == "xml") return "'<n>" k "</n>'"
	if (f == "point") return engine == "mariadb" ? "ST_GeomFromText('POINT(" k " 1)')" : "'(" k ",1)'"
	if (f == "bit") return bits(k, len[t, c] > 0 && type[t, c] !~ /varying/ ? len[t, c] : 1)
	if (f == "blob") return blob(t, c, k)
	return "'" word_for(t, c, style >= 2 ? i : k + (k == i ? 0 : i * 100)) "'"
}

function above(t, c) {
	if (family[t, c] != "int")
		return 0
	return type[t, c] ~ /tiny/ ? 100 : type[t, c] ~ /small/ ? 10000 : 100000
}

function decimal(n, whole, digits,    most) {
	if (whole <= 0)
		return sprintf("0.%0" digits "d", n % 10 ^ (digits > 9 ? 9 : digits))
	most = 10 ^ (whole > 9 ? 9 : whole) - 1
	n = (n - 1) % most + 1
	return digits > 0 ? sprintf("%.0f.%0" (digits > 9 ? 9 : digits) "d", n, 5) : sprintf("%.0f", n)
}

function bits(n, width,    s) {
	s = ""
	while (width-- > 0) {
		s = n % 2 s
		n = int(n / 2)
	}
	return (engine == "postgresql" ? "B'" : "b'") s "'"
}

function blob(t, c, k,    hex) {
	hex = sprintf("%08x", k)
	if (len[t, c] > 0 && len[t, c] < 4)
		hex = substr(hex, 9 - 2 * len[t, c])
	if (type[t, c] ~ /^binary/)
		while (length(hex) < 2 * len[t, c] && length(hex) < 2000)
			hex = hex "00"
	return engine == "postgresql" ? "'\\x" hex "'" : "X'" hex "'"
}

# --- foreign keys ---

function reference(t, c, i, style,    key, p, to, k, cnt, j) {
	key = fk_of[t, c]
	p = f_parent[t, key]
	to = f_to[t, key, fk_no[t, c]]
	if ((t, key) in orphan)
		return "NULL"
	k = -1
	for (j = 1; j <= f_n[t, key] && k < 0; j++)
		if (at[t, f_col[t, key, j]])
			k = pick(t, at[t, f_col[t, key, j]], i)
	if (p == t)
		return self(t, c, at[t, to], i, style)
	if ((t, key) in circle) {
		if (!notnull[t, c])
			return "NULL"
		off = 1
		return at[p, to] ? value(p, at[p, to], i, 0) : "NULL"
	}
	if (k < 0 && !notnull[t, c] && (style == 1 || (i > 0 && hash_of(t SUBSEP key, i) % 7 == 0)))
		return "NULL"
	cnt = rows_in(p)
	if (k < 0)
		k = (i + hash_of(t SUBSEP key, 0)) % cnt
	if (!((t, key) in by))
		for (j = 1; j <= f_n[t, key]; j++)
			by[t, key] = by[t, key] (j > 1 ? ", " : "") quoted(f_to[t, key, j])
	return "(SELECT " quoted(to) " FROM " quoted_table(p) " ORDER BY " by[t, key] " LIMIT 1 OFFSET " k % cnt ")"
}

# To the row before in the same table, as trees do; the first row is nobody's child, or its own.
function self(t, c, to, i, style) {
	if (!to)
		return "NULL"
	if (how[t, to] != "")
		return "NULL"
	if (notnull[t, c] || (t, c) in unique)
		return (t, to) in fk_of && c != to ? "NULL" : value(t, to, i, 0)
	return i == 0 || style == 1 || (t, to) in fk_of ? "NULL" : value(t, to, i - 1, 0)
}

# --- statements ---

# Names may have line feeds in them, which the database counts.
function say(s) {
	print s
	line += 1 + gsub(/\n/, "", s)
}

function preamble() {
	if (engine == "sqlite")
		say("PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF;")
	if (engine == "sqlite")
		say(".timeout 5000")
	if (engine == "mariadb")
		say("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO'); SET autocommit = 0;")
	if (engine == "postgresql")
		say("SET synchronous_commit = off;")
}

function row(t, i, style,    c, s, n) {
	s = ""
	for (c = 1; c <= n_cols[t]; c++)
		if (how[t, c] == "")
			s = s (n++ ? ", " : "") ((t, c) in fk_of ? reference(t, c, i, style) : value(t, c, i, style))
	return s
}

function fill(t,    c, head, n, i, style, s, many, first) {
	off = 0
	head = ""
	for (c = 1; c <= n_cols[t]; c++)
		if (how[t, c] == "")
			head = head (n++ ? ", " : "") quoted(col[t, c])
	many = only == "" && n > 0
	if (n == 0) {
		head = engine == "mariadb" ? "() VALUES ()" : "DEFAULT VALUES"
		for (i = 0; i < will[t]; i++)
			put(t, "INSERT INTO " quoted_table(t) " " head ";")
		return
	}
	head = "INSERT INTO " quoted_table(t) " (" head ")" overriding[t] " "
	if (many) {
		for (i = 0; i < will[t]; i++)
			s = s (i ? ", (" : "(") row(t, i, 0) ")"
		put(t, head "VALUES " s ";")
		return
	}
	first = line + 1
	for (style = 0; style < 4; style++)
		for (i = 0; i < will[t]; i++)
			put(t, head "SELECT " row(t, i, style) (engine == "mariadb" ? " FROM DUAL" : "") \
				" WHERE (SELECT count(*) FROM " quoted_table(t) ") < " will[t] ";")
	say("SELECT 'STEPBOX-EMPTY " first "'" (engine == "mariadb" ? " FROM DUAL" : "") " WHERE NOT EXISTS (SELECT 1 FROM " quoted_table(t) ");")
}

function put(t, s,    i) {
	# A circle of columns that must not be NULL: the rows of the other table come with the next line.
	if (off && engine == "mariadb")
		s = "SET foreign_key_checks = 0; " s " SET foreign_key_checks = 1;"
	else if (off && engine == "sqlite")
		s = "PRAGMA foreign_keys = OFF; " s " PRAGMA foreign_keys = ON;"
	i = line + 1
	say(s)
	for (; map != "" && i <= line; i++)
		printf "%d\t%s\n", i, t > map
}
