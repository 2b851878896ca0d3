#!/bin/sh
# Who may include whom: data goes one way, and cloud and provision do not know each other.
set -eu
cd "$(dirname "$0")/.."
bad=0
check() {
	dir=$1
	shift
	for f in "$dir"/*.[ch]; do
		for inc in $(sed -n 's/^#[[:space:]]*include "\([a-z]*\)\/.*/\1/p' "$f" | sort -u); do
			case " $dir $* " in
			*" $inc "*) ;;
			*) echo "$f: may not include $inc/" >&2; bad=1 ;;
			esac
		done
	done
}
check base
check cloud base
check provision base
check migrations base provision
check cmd base cloud provision migrations
exit $bad
