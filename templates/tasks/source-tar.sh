# shellcheck shell=sh
# Unpacks the source that was sent along into $DIR. CHECKOUT=1: it is a bare .git, and HEAD is what is wanted.
mkdir -p "$DIR"
tar -xf "$STEPBOX_DIR/source.tar" -C "$DIR" --no-same-owner
rm -f "$STEPBOX_DIR/source.tar"
cd "$DIR" || exit 1
if [ "$CHECKOUT" = 1 ]; then
	git reset -q --hard
	[ ! -f .gitmodules ] || git submodule update -q --init --recursive
fi
[ ! -e .git ] || git log -1 --format='%h %ad %s' --date=short || true
