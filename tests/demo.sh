#!/bin/sh
# make demo: steps the bundled sample project on a throwaway box of the local cloud and ends with a diff worth reading.
set -eu
stepbox=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp -R "$(dirname "$0")/../templates/sample/." "$dir"
cd "$dir"
if command -v git >/dev/null; then
	git -c init.defaultBranch=main init -q .
	git add -A
	git -c user.name=demo -c user.email=demo@example.invalid commit -qm 'The sample project'
fi
show() {
	echo
	echo "\$ stepbox $*"
	"$stepbox" "$@"
}
show plan
show run
echo
echo "One of these steps says it adds a check. What else did it do?"
show diff last:010_placeholder last:011_check_ticket_status || [ $? = 1 ]
