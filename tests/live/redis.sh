#!/bin/bash
# redis-server with its heap in guest memory, in too little of it: evicted, sampled,
# shared, ballooned, and forking (BGSAVE) under redis-benchmark. Every key must hold what
# follows from its name, and the digest of its dump, loaded by a redis-server of its own,
# must be the guest's. Prints what redis-benchmark says of it and of one without Ballast.
# KEYS=n, REQUESTS=n: larger runs by hand.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=${BUILD:-build}/ballast
for program in redis-server redis-cli redis-benchmark; do
	command -v $program >/dev/null || {
		echo "skipped: there is no $program: apt-get install redis-server redis-tools"
		exit 77
	}
done
work=$(mktemp -d)
export BALLAST_SOCKET=$work/host.sock
plain=
trap '"$ballast" host stop >/dev/null 2>&1; [ -n "$plain" ] && kill $plain 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
keys=${KEYS:-30000} requests=${REQUESTS:-10000}
bad=0

fail() {
	echo "$*"
	bad=1
}

# ask SOCKET COMMAND...
ask() {
	redis-cli -s "$work/$1" "${@:2}"
}

# till SOCKET SECTION LINE: until INFO says so.
till() {
	for _ in $(seq 1200); do
		ask "$1" info "$2" 2>/dev/null | tr -d '\r' | grep -q "^$3" && return
		sleep 0.05
	done
	fail "$1: no '$3': $(ask "$1" info "$2")"
}

# The commands that set every key, and what reading them all back says. 1 of 4 is the same.
sets() {
	awk -v n="$keys" -v round="$1" 'BEGIN {
		for (i = 0; i < n; i++) {
			v = sprintf("%d.%d.", i % 4 ? i : 0, round)
			while (length(v) < 400 + i % 4 * 300) v = v v
			print (ARGV[1] == "values" ? v : "SET key:" i " " v)
		}
	}' "$2"
}

read_back() {
	awk -v n="$keys" 'BEGIN { for (i = 0; i < n; i++) print "GET key:" i }' | ask guest.sock | md5sum
}

benchmark() {
	redis-benchmark -s "$work/$1" -n "$requests" -c 8 -r 20000 -d 300 -t set,get -P 4 --csv 2>/dev/null |
		tr -d '"' | awk -F, -v who="$2" 'NR > 1 { printf "  %s: %s %.0f requests/s, p99 %s ms\n", who, $1, $2, $7 }'
}

cat >"$work/redis.conf" <<CONF
port 0
save ""
appendonly no
enable-debug-command yes
loglevel warning
dir $work
CONF
"$ballast" host start -s host.memory=$((keys / 800))mb -s host.reclaimers=balloon,swap -s share.scan=random \
	-s share.rate_vm=4k -s share.rate_total=0 -s sample.sampler=esx >"$work/out" 2>"$work/err" || {
	grep -q userfaultfd "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	cat "$work/err"
	exit 1
}
"$ballast" vm start store -m $((keys / 250))mb redis-server "$work/redis.conf" \
	--unixsocket "$work/guest.sock" >"$work/out" 2>&1 || fail "$(cat "$work/out")"
redis-server "$work/redis.conf" --unixsocket "$work/plain.sock" >"$work/plain.log" 2>&1 &
plain=$!
till guest.sock server redis_version
till plain.sock server redis_version

sets 1 commands | ask guest.sock --pipe >"$work/out" || fail "$(cat "$work/out")"
benchmark plain.sock 'without Ballast'
benchmark guest.sock 'half in memory'
[ "$(read_back)" = "$(sets 1 values | md5sum)" ] || fail "keys are wrong after the benchmark"

# A snapshot by a child, while the parent is evicted and then written to.
before=$(ask guest.sock debug digest)
ask guest.sock bgsave >/dev/null
sets 2 commands | ask guest.sock --pipe >"$work/out" || fail "$(cat "$work/out")"
till guest.sock persistence rdb_bgsave_in_progress:0
till guest.sock persistence rdb_last_bgsave_status:ok
cp "$work/dump.rdb" "$work/copy.rdb" || fail "no dump"
kill $plain && wait $plain
redis-server "$work/redis.conf" --unixsocket "$work/plain.sock" --dbfilename copy.rdb >"$work/plain.log" 2>&1 &
plain=$!
till plain.sock persistence loading:0
[ "$(ask plain.sock debug digest)" = "$before" ] || fail "the dump is not what was there"
[ "$(read_back)" = "$(sets 2 values | md5sum)" ] || fail "keys are wrong after the snapshot"

# Half of the keys go; the balloon gets what they had.
awk -v n="$keys" 'BEGIN { for (i = 1; i < n; i += 2) print "DEL key:" i }' | ask guest.sock --pipe >"$work/out"
"$ballast" vm set store --balloon $((keys / 1000))mb || fail "vm set --balloon"
for _ in $(seq 300); do
	"$ballast" vm list >"$work/out"
	awk '$1 == "store" { n = $8 > 10 && $7 > 1 } END { exit !n }' "$work/out" && break
	sleep 0.1
done
awk '{ print "  " $0 } $1 == "store" { n = $8 > 10 && $7 > 1 } END { exit !n }' "$work/out" ||
	fail "not ballooned or not swapped"
sets 3 commands | ask guest.sock --pipe >"$work/out" || fail "$(cat "$work/out")"
grep -q 'errors: 0, replies: '"$keys" "$work/out" || fail "the guest had no memory: $(cat "$work/out")"
[ "$(read_back)" = "$(sets 3 values | md5sum)" ] || fail "keys are wrong after the balloon"
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
ask guest.sock shutdown nosave >/dev/null 2>&1
for _ in $(seq 1200); do
	[ "$("$ballast" vm list | wc -l)" = 1 ] && break
	sleep 0.05
done
"$ballast" host status | grep -q ' 0 guests' || fail "$("$ballast" host status)"
exit $bad
