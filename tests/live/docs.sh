#!/bin/bash
# The documents' live guests: every command in a fence tagged "console live" works, on a
# host of its own. What it prints there, with process numbers and counts, is not compared.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
export BALLAST_SOCKET=$work/host.sock
trap '"${BUILD:-build}/ballast" host stop >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

for need in qemu-system-x86_64 busybox; do
	command -v $need >/dev/null || { echo "skipped: no $need here" && exit 77; }
done
for doc in README.md docs/live.md; do
	awk '/^```/ { live = $0 == "```console live" } live && sub(/^[#$] /, "")' "$doc" |
		sed "s,build/,${BUILD:-build}/,g" >"$work/commands"
	[ -s "$work/commands" ] || { echo "$doc: no commands" && exit 1; }
	while read -r command; do
		bash -c "$command" >"$work/out" 2>&1 </dev/null && continue
		grep -q userfaultfd "$work/out" && echo "skipped: $(cat "$work/out")" && exit 77
		echo "$doc: $command: $(cat "$work/out")"
		exit 1
	done <"$work/commands"
	"${BUILD:-build}/ballast" host status >/dev/null 2>&1 && echo "$doc: the host still runs" && exit 1
done
exit 0
