# SPDX-License-Identifier: MIT
# What a server's catalogue says (lines of migrations/schema_catalog.h) → what fill.awk reads. Escapes are the same in both.
BEGIN { FS = OFS = "\t" }
$1 == "column" {
	how = ""
	if ($8 != "")
		how = "generated"
	else if ($11 == "ALWAYS")
		how = "always"
	else if ($6 ~ /^=/ && $6 != "=NULL")
		how = "default"
	print "C", $2, $3, $4, $13 ~ /n/ ? 1 : 0, how
	labels($2, $3, $5)
}
($1 == "pk" || ($1 == "index" && $9 ~ /u/)) {
	for (i = 10; i <= NF; i += 2)
		if ($i ~ /^\./)
			print "U", $2, $1 " " $3, substr($i, 2)
}
$1 == "fk" {
	for (i = 10; i < NF; i += 2)
		print "F", $2, $3, $i, $4, $(i + 1)
}
$1 == "check" { print "K", $2, $4 }

# 'a','b''c'
function labels(table, column, s,    i, ch, label, inside) {
	for (i = 1; i <= length(s); i++) {
		ch = substr(s, i, 1)
		if (!inside) {
			inside = ch == "'"
			label = ""
		} else if (ch == "'" && substr(s, i + 1, 1) == "'") {
			label = label ch
			i++
		} else if (ch == "'") {
			print "L", table, column, label
			inside = 0
		} else {
			label = label ch
		}
	}
}
