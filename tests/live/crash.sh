#!/bin/bash
# The manager is killed twenty times at random moments, while it evicts, shares
# and samples. Each time another takes its guests over: every count is right,
# the pool has as many pages of memory as there are frames in use, and the
# guests, which check each of their pages, never see a wrong byte. LIVE_SECONDS
# spreads the kills over so long.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=${BUILD:-build}/ballast
verify=${BUILD:-build}/guest/verify
work=$(mktemp -d)
export BALLAST_SOCKET=$work/host.sock
trap '"$ballast" host stop >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
kills=${LIVE_KILLS:-20}
RANDOM=${BALLAST_SEED:-7}
echo "seed ${BALLAST_SEED:-7}"
bad=0

fail() {
	echo "$*"
	bad=1
}

field() {
	"$ballast" host status --json | awk -v name="\"$1\":" '$1 == name && !n++ { print $2 + 0 }'
}

# Statistics begin anew with each manager: they are added up before it is killed.
declare -A total
add_up() {
	for what in swap_outs swap_ins share_merged live_events; do
		total[$what]=$((${total[$what]:-0} + $("$ballast" vm list -a --json |
			awk -v name="\"$what\":" '$1 == name { n += $2 } END { print n + 0 }')))
	done
}

"$ballast" host start -s host.memory=48mb -s share.scan=random -s share.rate_vm=20k \
	-s share.rate_total=0 -s sample.sampler=esx -s sample.period=500ms \
	-s host.thresholds=esx -s tax.period=1s \
	>"$work/out" 2>"$work/err" || {
	grep -q userfaultfd "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	cat "$work/err"
	exit 1
}
for guest in a b; do
	"$ballast" vm start $guest -m 40mb --shares 3000 "$verify" - 3600 2 $RANDOM >"$work/out" 2>&1 ||
		fail "$(cat "$work/out")"
done
"$ballast" vm start c -m 16mb --group alone "$verify" - 3600 1 3 >"$work/out" 2>&1 ||
	fail "$(cat "$work/out")"
for kill in $(seq "$kills"); do
	sleep "$((RANDOM % (2 * ${LIVE_SECONDS:-0} / kills + 1))).$((RANDOM % 900 + 100))"
	add_up
	kill -9 "$(field pid)"
	sleep 0.2
	"$ballast" host check >"$work/out" 2>&1 || fail "after kill $kill: $(cat "$work/out")"
	[ "$(field lives)" = "$kill" ] || fail "after kill $kill: $(field lives) lives"
	[ "$("$ballast" vm list | grep -c running)" = 3 ] || fail "after kill $kill: $("$ballast" vm list)"
	[ $bad = 0 ] || break
done
sleep 1
add_up
for what in "${!total[@]}"; do
	echo "$what ${total[$what]}"
done
"$ballast" vm list
[ "$("$ballast" vm list --json | grep -c '"shares": 3000,\?$')" = 2 ] || fail "shares were forgotten"
for guest in a b c; do
	"$ballast" vm stop $guest || fail "stop $guest"
done
for _ in $(seq 600); do
	[ "$("$ballast" vm list | wc -l)" = 1 ] && break
	sleep 0.1
done
for guest in a b c; do
	tail -n 3 "$BALLAST_SOCKET.$guest.log"
	grep -q ' bad 0$' "$BALLAST_SOCKET.$guest.log" || fail "guest $guest"
done
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
"$ballast" host status | grep -q '48.0 MiB, 48.0 free' || fail "$("$ballast" host status)"
"$ballast" host stop || fail "host stop: $?"

# A host that stays dead: its guests are ended after the time that was stated.
"$ballast" host start -s host.memory=48mb -s live.orphan=4s >"$work/out" 2>&1 || fail "$(cat "$work/out")"
"$ballast" vm start d -m 16mb "$verify" - 600 2 3 >"$work/out" 2>&1 || fail "$(cat "$work/out")"
guest=$("$ballast" vm list | awk '$1 == "d" { print $3 }')
manager=$(field pid)
kill -9 "$(awk '/^PPid:/ { print $2 }' "/proc/$manager/status")" "$manager"
sleep 1
kill -0 "$guest" 2>/dev/null || fail "the guest was ended before its time"
for _ in $(seq 300); do
	kill -0 "$guest" 2>/dev/null || break
	sleep 0.1
done
kill -0 "$guest" 2>/dev/null && fail "the guest outlives its host" && kill -9 "$guest"
grep -q 'the host is gone' "$BALLAST_SOCKET.d.log" || fail "d: $(cat "$BALLAST_SOCKET.d.log")"
"$ballast" host start -s host.memory=48mb >"$work/out" 2>&1 || fail "$(cat "$work/out")"
[ $bad = 0 ] || tail -n 40 "$BALLAST_SOCKET.log"
exit $bad
