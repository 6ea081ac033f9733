#!/bin/bash
# Balloons in a live host: a Linux guest whose balloon grows and shrinks by hand
# while the manager is killed at random moments, and then by the reclaim loop, as
# another guest comes to need its memory. Frames are the pool's blocks at every
# look, the guests' own figures are the host's, and no page reads wrong.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=${BUILD:-build}/ballast
verify=${BUILD:-build}/guest/verify
work=$(mktemp -d)
export BALLAST_SOCKET=$work/host.sock
trap '"$ballast" host stop >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
kills=${LIVE_KILLS:-4}
RANDOM=${BALLAST_SEED:-5}
echo "seed ${BALLAST_SEED:-5}"
bad=0

fail() {
	echo "$*"
	bad=1
}

for need in qemu-system-x86_64 busybox; do
	command -v $need >/dev/null || { echo "skipped: no $need here" && exit 77; }
done
release=$(find /boot -name 'vmlinuz-*-cloud-amd64' | sed 's/.*vmlinuz-//' | sort | tail -n 1)
[ -e "/lib/modules/$release/build/Makefile" ] ||
	{ echo "skipped: no headers for a cloud kernel: apt-get install linux-headers-cloud-amd64" && exit 77; }
"$ballast" module build --kernel "$release" >"$work/out" 2>&1 || fail "$(cat "$work/out")"

"$ballast" host start -s host.memory=144mb -s host.reclaimers=balloon,swap -s host.thresholds=esx \
	-s sample.sampler=esx -s sample.period=2s -s tax.period=1s >"$work/out" 2>"$work/err" || {
	grep -q userfaultfd "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	cat "$work/err"
	exit 1
}

# of GUEST COLUMN: of 'vm list': 2 the state, 8 the balloon, 9 what is wanted, MiB.
of() {
	"$ballast" vm list -a | awk -v vm="$1" -v column="$2" '$1 == vm { got = $column } END { print got }'
}
manager() {
	"$ballast" host status --json | awk '$1 == "\"pid\":" && !n++ { print $2 + 0 }'
}
check() {
	"$ballast" host check >"$work/out" 2>&1 || fail "$1: $(cat "$work/out")"
}
# till GUEST COLUMN TEST: an awk test of x
till() {
	for _ in $(seq 900); do
		"$ballast" vm list -a | awk -v vm="$1" '$1 == vm { x = $'"$2"' } END { exit !('"$3"') }' &&
			return
		sleep 0.1
	done
	fail "$1: $(of "$1" "$2") is not $3"
}
driven() {
	for _ in $(seq 900); do
		"$ballast" host status >"$work/out"
		grep -q "^l: .* driver on" "$work/out" && return
		sleep 0.1
	done
	fail "no driver: $(cat "$work/out")"
}

# It ends when its balloon is wanted to have 77 pages.
"$ballast" vm start l -m 128mb --linux --accel "${LIVE_ACCEL:-auto}" --run "
truncate -s 12M /mem/p; verify /mem/p 600 1 1 & p=\$!
cd /sys/bus/pci/drivers/ballast_balloon/0*
until [ \"\$(cat target)\" = 77 ]; do sleep 0.5
echo VIEW \$(cat talk size host_ballooned host_granted host_steal_ns); done; kill \$p; wait \$p" \
	>"$work/out" 2>&1 || fail "$(cat "$work/out")"
"$ballast" vm start v -m 8mb "$verify" - 600 1 2 >"$work/out" 2>&1 || fail "$(cat "$work/out")"
"$ballast" vm start none -m 4mb --balloon off "$verify" - 600 1 2 >"$work/out" 2>&1 || fail "$(cat "$work/out")"
driven

# By hand.
"$ballast" vm set l --balloon 32mb || fail "vm set: $?"
till l 8 "x == 32"
check "at 32 MB"
"$ballast" top --once --json -d 100ms | python3 -c '
import json, sys
vm = {v["name"]: v for v in json.load(sys.stdin)["vms"]}["l"]
assert vm["balloon_mib"] == 32 and vm["balloon_target_mib"] == 32
assert vm["private_mib"] + vm["shared_mib"] + vm["swapped_mib"] + vm["balloon_mib"] <= 128
' || fail "top: $("$ballast" top --once --json -d 100ms)"
"$ballast" host status >"$work/out"
grep -q '^l: balloon of 32.0 MiB, 32.0 wanted, driver on; 0 pages refused, 0 bad' "$work/out" ||
	fail "$(cat "$work/out")"
sleep 1 # for the guest to say what it sees
"$ballast" vm set none --balloon 1mb >"$work/out" 2>&1 && fail "a balloon for a guest without one"
grep -q "vm start --balloon on" "$work/out" || fail "$(cat "$work/out")"
"$ballast" vm set l --balloon 1gb >"$work/out" 2>&1 && fail "a balloon larger than its guest"

# Killed while it grows and shrinks: what was in it is, until its driver begins anew.
for kill in $(seq "$kills"); do
	"$ballast" vm set l --balloon "$((RANDOM % 26 + 4))mb" || fail "vm set: $?"
	sleep "0.0$((RANDOM % 90 + 10))"
	kill -9 "$(manager)"
	sleep "0.$((RANDOM % 3 + 1))"
	check "after kill $kill"
	[ $bad = 0 ] || break
done
driven
"$ballast" vm set l --balloon 24mb || fail "vm set: $?"
till l 8 "x == 24"
check "after $kills kills"
"$ballast" vm set l --balloon 0 || fail "vm set: $?"
till l 8 "x == 0"
check "empty"

# By the loop: another guest comes.
"$ballast" vm set l --balloon policy || fail "vm set: $?"
"$ballast" vm start w -m 56mb "$verify" - 600 1 3 >"$work/out" 2>&1 || fail "$(cat "$work/out")"
till l 8 "x > 8"
check "by the loop"
"$ballast" vm list
"$ballast" vm stop w
"$ballast" vm set l --balloon 308kb || fail "vm set: $?"
till l 2 'x == "gone"'
"$ballast" vm stop v && "$ballast" vm stop none
for _ in $(seq 600); do
	[ "$("$ballast" vm list | wc -l)" = 1 ] && break
	sleep 0.1
done
grep -a -q 'bad[ =]0' "$BALLAST_SOCKET.l.log" || fail "l: $(tail -n 5 "$BALLAST_SOCKET.l.log")"
grep -a -q 'VIEW talking [1-9][0-9]* [1-9][0-9]* [1-9][0-9]* [1-9]' "$BALLAST_SOCKET.l.log" ||
	fail "l's view: $(grep -a VIEW "$BALLAST_SOCKET.l.log" | sort | uniq -c)"
for guest in v w none; do
	grep -q ' bad[ =]0' "$BALLAST_SOCKET.$guest.log" || fail "$guest: $(cat "$BALLAST_SOCKET.$guest.log")"
done
check "at the end"
"$ballast" host status >"$work/out"
grep -q '144.0 free' "$work/out" || fail "$(cat "$work/out")"
[ $bad = 0 ] || tail -n 40 "$BALLAST_SOCKET.log"
exit $bad
