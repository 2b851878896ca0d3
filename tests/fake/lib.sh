# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# The fake cloud for shell tests, sourced. Needs $fake_dir (this directory); $STEPBOX names the build.
#
#   fake_start DIR [cloud.py's words]   starts one; sets fake_port, fake_pid, fake_url; ends with the script, or by
#   fake_stop                           which waits until all its boxes have ended
#   fake_script JSON, fake_config JSON, fake_reset, fake_forget (the script's rules)
#   fake_state PYTHON                   prints an expression of the state s: fake_state 's["counts"]["servers"]'
: "${fake_dir:?}"

fake_needs() {
	python3 -c 'import yaml, jsonschema' 2>/dev/null || {
		echo 'python3-yaml and python3-jsonschema are missing'
		exit 77
	}
}

# Prints the path of fakebox, beside the program under test; without it, it is built by hand from that build's library.
fake_box() {
	fake_build=$(dirname "${STEPBOX:?}")
	mkdir -p "$fake_build/fake"
	[ -x "$fake_build/fake/fakebox" ] || {
		fake_pkgs='libfyaml libcurl libssh2 jansson sqlite3 libzstd zlib libcrypto'
		case $fake_build in *asan*) fake_san=-fsanitize=address,undefined ;; *tsan*) fake_san=-fsanitize=thread ;; *) fake_san= ;; esac
		# shellcheck disable=SC2046,SC2086 # lists of words
		${CC:-cc} -std=c11 -D_GNU_SOURCE -O1 $fake_san -I"$fake_dir/../.." $(pkg-config --cflags $fake_pkgs) -pthread \
			-o "$fake_build/fake/fakebox.$$" "$fake_dir/fakebox.c" "$fake_build/libstepbox.a" \
			$(pkg-config --libs $fake_pkgs) -pthread >&2 && mv "$fake_build/fake/fakebox.$$" "$fake_build/fake/fakebox"
	}
	echo "$fake_build/fake/fakebox"
}

fake_start() {
	fake_state_dir=$1
	shift
	mkdir -p "$fake_state_dir" && : >"$fake_state_dir/out"
	python3 "$fake_dir/cloud.py" --state "$fake_state_dir" "$@" >"$fake_state_dir/out" 2>&1 &
	fake_pid=$!
	fake_i=0
	until read -r fake_word fake_port <"$fake_state_dir/out" && [ "$fake_word" = listening ]; do
		fake_i=$((fake_i + 1))
		if [ $fake_i -gt 200 ] || ! kill -0 "$fake_pid" 2>/dev/null; then
			cat "$fake_state_dir/out" >&2
			return 1
		fi
		sleep 0.05
	done
	fake_url=http://127.0.0.1:$fake_port
}

fake_stop() {
	kill "$fake_pid" 2>/dev/null || return 0
	wait "$fake_pid"
}

fake_post() {
	curl -sS --noproxy '*' --max-time 30 -X "$1" "$fake_url/fake/$2" ${3:+-d "$3"} >"$fake_state_dir/reply" &&
		! grep -q '^{"error"' "$fake_state_dir/reply" || { cat "$fake_state_dir/reply" >&2; return 1; }
}
fake_script() { fake_post POST script "$1"; }
fake_forget() { fake_post DELETE script; }
fake_config() { fake_post POST config "$1"; }
fake_reset() { fake_post POST reset-counters; }

fake_state() {
	curl -sS --noproxy '*' --max-time 30 "$fake_url/fake/state" | python3 -c "import json, sys; s = json.load(sys.stdin); print($1)"
}
