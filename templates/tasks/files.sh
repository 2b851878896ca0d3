# shellcheck shell=sh
# Prints "version<TAB>blob<TAB>path" of the versions that are committed in the checkout. Calls of the two functions with git's
# pathspecs follow, before each PROGRAM, the sed script that takes versions out of names (migrations/history_files.c).
tab='	'
blobs() {
	git -c core.quotePath=true ls-files -s -- "$@" | sed -nE "s/^100[0-9]+ ([0-9a-f]+) 0$tab([^\"].*)\$/\\1$tab\\2/p"
}
by_name() {
	blobs "$@" | sed -nE "$PROGRAM"
}
# Files that say themselves which version they are, in their last word on it: the first may stand in a docstring.
by_content() {
	blobs "$@" | LC_ALL=C sort -t "$tab" -k 2 >"$STEPBOX_DIR/blobs"
	{ git grep --cached -E '^revision *(:[^=]*)?= *[urbURB]?["'\'']' -- "$@" || [ $? = 1 ]; } |
		sed -nE "s/^([^:]*):revision[^=]*= *[urbURB]?[\"']([^\"' ]+)[\"'].*\$/\\1$tab\\2/p" | tac | LC_ALL=C sort -s -u -t "$tab" -k 1,1 |
		LC_ALL=C join -t "$tab" -1 1 -2 2 -o 1.2,2.1,0 - "$STEPBOX_DIR/blobs"
	rm -f "$STEPBOX_DIR/blobs"
}
