# shellcheck shell=sh
# Puts the checkout at $COMMIT, and leaves nothing else in it: no bytecode of the commit before, nothing untracked or ignored,
# no repository inside that does not belong there. $KEEP, the database's file when it lies here, is moved out of the way
# meanwhile: it may even be a tracked one.
keep=$STATE/kept
away() {
	for suffix in '' -wal -shm -journal; do
		[ ! -e "$1$suffix" ] || { mkdir -p "$2" && mv "$1$suffix" "$2/db$suffix"; }
	done
}
rm -rf "$keep"
[ -z "$KEEP" ] || away "$KEEP" "$keep"
rm -f .git/index.lock
git -c core.hooksPath=/dev/null -c advice.detachedHead=false checkout -q --force --detach "$COMMIT" --
git clean -ffdxq
if [ -f .gitmodules ]; then
	git submodule sync -q --recursive
	git -c core.hooksPath=/dev/null submodule update -q --init --recursive --force
	git submodule foreach -q --recursive 'git clean -ffdxq'
fi
if [ -n "$KEEP" ]; then
	for suffix in '' -wal -shm -journal; do
		rm -f "$KEEP$suffix"
		[ ! -e "$keep/db$suffix" ] || { mkdir -p "$(dirname "$KEEP")" && mv "$keep/db$suffix" "$KEEP$suffix"; }
	done
fi
