#!/bin/bash
# The loads for Linux guests, in one with a disk and with too little memory: files,
# pages of a web server and values are evicted, shared and sampled meanwhile, by the
# CPU and by the disk, and every one of them is right. LOADS_SECONDS=60: each so long.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=${BUILD:-build}/ballast
work=$(mktemp -d)
export BALLAST_SOCKET=$work/host.sock
trap '"$ballast" host stop >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
seconds=${LOADS_SECONDS:-2}
bad=0

fail() {
	echo "$*"
	bad=1
}

for need in qemu-system-x86_64 busybox; do
	command -v $need >/dev/null || { echo "skipped: no $need here" && exit 77; }
done
"$ballast" host start -s host.memory=80mb -s share.scan=random -s share.rate_vm=4k \
	-s share.rate_total=0 -s sample.sampler=esx -s sample.period=1s >"$work/out" 2>"$work/err" || {
	grep -q userfaultfd "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	cat "$work/err"
	exit 1
}
truncate -s 64M "$work/disk"
"$ballast" vm start g -m 144mb --disk "$work/disk" --accel "${LIVE_ACCEL:-auto}" --run "
	mke2fs -b 4096 /dev/vda >/dev/null && mount -t ext4 /dev/vda /disk && mkdir /disk/f /disk/w
	fileserver -c 2 -m 16m -s $seconds -f -d /disk/f
	web -c 2 -m 16m -s $seconds -d /disk/w
	kv -c 2 -m 30m -g 50 -s $seconds" >"$work/out" 2>&1 || {
	cat "$work/out"
	exit 1
}
log=$BALLAST_SOCKET.g.log
for i in $(seq $((seconds * 3 + 100))); do
	sleep 1
	[ $((i % 4)) != 0 ] || "$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
	[ "$("$ballast" vm list | wc -l)" = 1 ] && break
done
for load in fileserver web kv; do
	grep -a "^@ballast $load end " "$log"
	grep -a -q "^@ballast $load end bad=0 " "$log" || fail "$load: $(tail -n 5 "$log")"
	grep -a -q "^@ballast $load t=.* ops=[1-9]" "$log" || fail "$load told nothing"
done
for what in swap_outs swap_ins; do
	n=$("$ballast" vm list -a --json | awk -v name="\"$what\":" '$1 == name { print $2 + 0; exit }')
	echo "$what $n"
	[ "$n" -gt 1000 ] || fail "only $n $what"
done
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
exit $bad
