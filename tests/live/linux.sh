#!/bin/bash
# Two Linux guests with two CPUs each in QEMU, in memory overcommitted 1.6 times,
# while pages are evicted, shared and sampled, and the manager is killed now and
# then: each guest checks its own pages, and not one is wrong.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=${BUILD:-build}/ballast
work=$(mktemp -d)
export BALLAST_SOCKET=$work/host.sock
trap '"$ballast" host stop >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
seconds=${LIVE_SECONDS:-40}
RANDOM=${BALLAST_SEED:-7}
kills=0
bad=0

fail() {
	echo "$*"
	bad=1
}

for need in qemu-system-x86_64 busybox; do
	command -v $need >/dev/null || { echo "skipped: no $need here" && exit 77; }
done
"$ballast" host start -s host.memory=140mb -s share.scan=random -s share.rate_vm=4k \
	-s share.rate_total=0 -s sample.sampler=esx -s sample.period=2s -s host.reserve_low=2% \
	-s host.reserve_high=3% >"$work/out" 2>"$work/err" || {
	grep -q userfaultfd "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	cat "$work/err"
	exit 1
}
for guest in a b; do
	"$ballast" vm start $guest -m 112mb --smp 2 --accel "${LIVE_ACCEL:-auto}" \
		--run "truncate -s 41943040 /mem/pages; verify /mem/pages $seconds 2 1" \
		>"$work/out" 2>"$work/err" || fail "$(cat "$work/out" "$work/err")"
done
count() {
	"$ballast" vm list -a --json | awk -v name="\"$1\":" '$1 == name { n += $2 } END { print n + 0 }'
}

# Statistics begin anew with each manager: they are added up before it is killed.
declare -A total
add_up() {
	for what in swap_outs swap_ins share_merged live_events; do
		total[$what]=$((${total[$what]:-0} + $(count $what)))
	done
}

kill_manager() {
	add_up
	kill -9 "$("$ballast" host status --json | awk '$1 == "\"pid\":" { print $2 + 0; exit }')"
	kills=$((kills + 1))
	sleep 0.3
}

for i in $(seq $((seconds + 120))); do
	sleep 1
	[ $((i % 5)) != 0 ] || "$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
	[ "$i" = $((seconds / 2)) ] && "$ballast" vm list
	[ $((i % 10)) = 9 ] && sleep "0.$((RANDOM % 900 + 100))" && kill_manager
	[ "$("$ballast" vm list | wc -l)" = 1 ] && break
done
for guest in a b; do
	grep -a '^ops ' "$BALLAST_SOCKET.$guest.log"
	grep -a -q 'bad 0' "$BALLAST_SOCKET.$guest.log" || fail "guest $guest: $(tail -n 5 "$BALLAST_SOCKET.$guest.log")"
done
add_up
echo "$kills kills"
for what in "${!total[@]}"; do
	echo "$what ${total[$what]}"
	[ "${total[$what]}" -gt 100 ] || fail "only ${total[$what]} $what"
done
grep -q 'taken its guests over' "$BALLAST_SOCKET.log" || fail "the manager was never killed"
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
"$ballast" host status | grep -q '140.0 free' || fail "$("$ballast" host status)"
exit $bad
