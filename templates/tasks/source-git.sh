# shellcheck shell=sh
# Fetches $REF of $URL into $DIR: all history, or the newest $DEPTH commits of it and of $COMMITS. A network may blink: three tries.
retry() {
	try=1
	until "$@"; do
		[ $try -lt 3 ] || return 1
		echo "try $try of 3 did not work; again in $((try * 3)) s" >&2
		sleep $((try * 3))
		try=$((try + 1))
	done
}
export GIT_TERMINAL_PROMPT=0
mkdir -p "$DIR"
cd "$DIR" || exit 1
git init -q .
git remote add origin -- "$URL"
if [ -n "$DEPTH" ]; then
	retry git fetch -q --depth "$DEPTH" origin -- "${REF:-HEAD}"
	at=$(git rev-parse FETCH_HEAD)
	# The commits of the walk, when each version has its own.
	# shellcheck disable=SC2086 # a list of hashes
	[ -z "$COMMITS" ] || retry git fetch -q --depth "$DEPTH" origin -- $COMMITS
	git checkout -q --detach "$at"
elif [ -z "$REF" ]; then
	retry git fetch -q --tags origin '+refs/heads/*:refs/remotes/origin/*'
	retry git fetch -q origin HEAD
	git checkout -q --detach FETCH_HEAD
else
	retry git fetch -q --tags origin '+refs/heads/*:refs/remotes/origin/*'
	# A branch of the far side before a tag, before a commit; at last whatever the far side calls so (refs/changes/…).
	at=$(git rev-parse -q --verify "refs/remotes/origin/$REF^{commit}") ||
		at=$(git rev-parse -q --verify "$REF^{commit}") ||
		{ retry git fetch -q origin -- "$REF" && at=$(git rev-parse FETCH_HEAD); } ||
		{ echo "$REF: no such branch, tag or commit in $URL" >&2; exit 1; }
	git checkout -q --detach "$at"
fi
[ ! -f .gitmodules ] || retry git submodule update -q --init --recursive
git log -1 --format='%h %ad %s' --date=short
