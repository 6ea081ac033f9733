#!/bin/bash
# Programs whose heap is guest memory: blocks checked by the program itself while
# the host evicts, shares and balloons, and is killed once; fork() and threads; a heap
# used up; and programs that cannot be guests, refused with nothing left behind.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=${BUILD:-build}/ballast
churn=${BUILD:-build}/guest/churn
work=$(mktemp -d)
export BALLAST_SOCKET=$work/host.sock
trap '"$ballast" host stop >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
seconds=${LIVE_SECONDS:-3}
bad=0

fail() {
	echo "$*"
	bad=1
}

refused() {
	local code=$1 words=$2 got
	shift 2
	"$@" >"$work/out" 2>"$work/err"
	got=$?
	[ $got = "$code" ] || fail "$*: exit code $got, must be $code: $(cat "$work/err")"
	[ "$(wc -l <"$work/err")" = 1 ] || fail "$*: not one line: $(cat "$work/err")"
	grep -q -- "$words" "$work/err" || fail "$*: says '$(cat "$work/err")', not '$words'"
}

"$ballast" host start -s host.memory=24mb -s host.reclaimers=balloon,swap -s share.scan=random \
	-s share.rate_vm=20k -s share.rate_total=0 -s balloon.hints=on >"$work/out" 2>"$work/err" || {
	grep -q userfaultfd "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	cat "$work/err"
	exit 1
}

# Programs that cannot be guests.
refused 2 'no such program' "$ballast" vm start x /no/such/program
refused 2 'no such program in $PATH' "$ballast" vm start x no-such-program
refused 2 'statically linked' "$ballast" vm start x "${BUILD:-build}/guest/static/churn" 1 1 1 1
cp "$(type -P true)" "$work/other" && chmod 4755 "$work/other" && chown 1:1 "$work/other" &&
	chmod 4755 "$work/other" && refused 2 'other rights' "$ballast" vm start x "$work/other"
printf '#!/usr/bin/env sh\n' >"$work/script" && chmod 755 "$work/script"
refused 2 'started by env' "$ballast" vm start x "$work/script"
printf 'true\n' >"$work/script"
refused 2 'neither a program nor a script' "$ballast" vm start x "$work/script"
refused 2 'auto, on or off' "$ballast" vm start x --heap maybe true
[ "$("$ballast" vm list | wc -l)" = 1 ] || fail "refused guests are there: $("$ballast" vm list)"
"$ballast" vm start -f x sh -c 'exit 3' >"$work/out" 2>"$work/err"
[ $? = 3 ] || fail "vm start -f: not exit code 3: $(cat "$work/err")"
# One that ends at once: it may have been seen to run before.
said=0
for i in $(seq 20); do
	out=$("$ballast" vm start "x$i" sh -c 'exit 3' 2>&1)
	case "$? $out" in
	0*"runs as process"*) ;;
	1*"ended with status 3") said=1 ;;
	*) fail "vm start x$i: $out" ;;
	esac
	[ $said = 1 ] && break
done
[ $said = 1 ] || fail "of 20 programs none was said to have ended with status 3"

# Ends a guest that runs, and checks what it says at its end.
ends_right() {
	"$ballast" vm stop "$1" || fail "vm stop $1: $?"
	for _ in $(seq 1200); do
		"$ballast" vm list | grep -q "^$1 " || break
		sleep 0.05
	done
	grep -q "$2" "$BALLAST_SOCKET.$1.log" || fail "$1: $(cat "$BALLAST_SOCKET.$1.log")"
	echo "  $1: $(cat "$BALLAST_SOCKET.$1.log")"
}

# Two programs in half of the memory that they use.
"$ballast" vm start a -m 48mb "$churn" 1000 3 1 28 >"$work/out" 2>&1 || fail "$(cat "$work/out")"
"$ballast" vm start b -m 48mb "$churn" 1000 1 2 28 8 >"$work/out" 2>&1 || fail "$(cat "$work/out")"
"$ballast" vm set a --balloon 10mb || fail "vm set: $?"
kill -9 "$("$ballast" host status --json | awk '$1 == "\"pid\":" { print $2 + 0; exit }')"
swapped=0 balloon=0
for turn in $(seq 240); do
	sleep 0.25
	now=$("$ballast" vm list | awk '{ n += $7 } END { print int(n) }')
	[ "$now" -gt "$swapped" ] && swapped=$now
	now=$("$ballast" vm list | awk '$1 == "a" { print int($8) }')
	[ "${now:-0}" -gt "$balloon" ] && balloon=$now
	[ "$swapped" -gt 4 ] && [ "$balloon" -ge 4 ] && [ "$turn" -ge $((4 * seconds)) ] && break
done
[ "$swapped" -gt 4 ] || fail "only $swapped MiB were swapped"
[ "$balloon" -ge 4 ] || fail "the balloon had only $balloon MiB"
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
ends_right a ' bad 0 '
ends_right b ' bad 0 '

# A heap that is used up refuses, and goes on.
"$ballast" vm start -f full -m 8mb "$churn" 1 2 3 64 >"$work/out" 2>&1 || fail "full: $(cat "$work/out")"
grep -q ' bad 0 refused [1-9]' "$work/out" || fail "full: $(cat "$work/out")"

# A guest that needs what is in its balloon gets it. Its heap is twice what it uses, so
# that no block is refused because free pages lie scattered.
deflated() {
	"$ballast" vm list -a --json | grep -A90 '"name": "needs"' |
		awk '/"balloon_deflated":/ { n = $2 } END { print n + 0 }'
}
"$ballast" vm start needs -m 32mb "$churn" 1000 1 4 14 >"$work/out" 2>&1 || fail "needs: $(cat "$work/out")"
"$ballast" vm set needs --balloon 20mb || fail "vm set: $?"
for _ in $(seq 240); do
	[ "$(deflated)" -gt 100 ] && break
	sleep 0.25
done
[ "$(deflated)" -gt 100 ] || fail "needs had nothing out of its balloon"
sleep 0.5
ends_right needs ' bad 0 refused 0$'
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
"$ballast" host status | grep -q '24.0 MiB, 24.0 free.* 0 guests' || fail "$("$ballast" host status)"
exit $bad
