#!/bin/bash
# A Linux guest of 4 GiB in 224 MiB of memory: its pages above the hole that a PC
# has below 4 GiB are numbered otherwise than in the file of its memory, and its
# balloon gives those first. None may be refused, none touched, and the guest's
# own pages read right.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=${BUILD:-build}/ballast
work=$(mktemp -d)
export BALLAST_SOCKET=$work/host.sock
trap '"$ballast" host stop >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
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
"$ballast" host start -s host.memory=224mb -s host.reclaimers=balloon,swap >"$work/out" 2>"$work/err" || {
	grep -q userfaultfd "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	grep -q 'this machine has available' "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	cat "$work/err"
	exit 1
}

# status TEXT: until the host's status has it.
status() {
	for _ in $(seq 900); do
		"$ballast" host status >"$work/out"
		grep -q "$1" "$work/out" && return
		sleep 0.1
	done
	fail "not '$1': $(cat "$work/out")"
}

# It ends when its balloon is wanted to have 77 pages.
"$ballast" vm start l -m 4096mb --linux --accel "${LIVE_ACCEL:-auto}" --run '
grep RAM /proc/iomem; truncate -s 16M /mem/p; verify /mem/p 600 1 1 & p=$!
cd /sys/bus/pci/drivers/ballast_balloon/0*
until [ "$(cat target)" = 77 ]; do sleep 0.3; done; kill $p; wait $p' >"$work/out" 2>&1 ||
	fail "$(cat "$work/out")"
status 'driver on'
for size in 256 0 200; do
	"$ballast" vm set l --balloon ${size}mb || fail "vm set: $?"
	status "^l: balloon of $size.0 MiB, $size.0 wanted, driver on; 0 pages refused, 0 bad"
	"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
done
"$ballast" vm list -a --json | grep -q '"balloon_popped": 0,' || fail "pages of the balloon were touched"
"$ballast" vm set l --balloon 308kb || fail "vm set: $?"
status ' 0 guests'
grep -a -q '^100000000-13fffffff : System RAM' "$BALLAST_SOCKET.l.log" || fail "no memory above 4 GiB"
grep -a -q 'bad[ =]0' "$BALLAST_SOCKET.l.log" || fail "l: $(tail -n 5 "$BALLAST_SOCKET.l.log")"
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
exit $bad
