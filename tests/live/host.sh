#!/bin/bash
# The live host as a user runs it: what it refuses, and guests in processes that
# come, go, are stopped and are killed, with nothing left behind.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=${BUILD:-build}/ballast
verify=${BUILD:-build}/guest/verify
work=$(mktemp -d)
export BALLAST_SOCKET=$work/host.sock
trap '"$ballast" host stop >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
bad=0

fail() {
	echo "$*"
	bad=1
}

# refused CODE WORDS COMMAND...: it says so in one line and leaves nothing behind.
refused() {
	local code=$1 words=$2 got
	shift 2
	"$@" >"$work/out" 2>"$work/err"
	got=$?
	[ $got = "$code" ] || fail "$*: exit code $got, must be $code: $(cat "$work/err")"
	[ "$(wc -l <"$work/err")" = 1 ] || fail "$*: not one line: $(cat "$work/err")"
	grep -q -- "$words" "$work/err" || fail "$*: says '$(cat "$work/err")', not '$words'"
}

"$ballast" host start -s host.memory=64mb -s share.scan=random -s share.rate_vm=20k \
	-s share.rate_total=0 >"$work/out" 2>"$work/err" || {
	grep -q userfaultfd "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	cat "$work/err"
	exit 1
}
[ "$(stat -c %a "$BALLAST_SOCKET" "$BALLAST_SOCKET.agents" | uniq)" = 600 ] ||
	fail "sockets of mode $(stat -c %a "$BALLAST_SOCKET"* | xargs)"

# A second host, and jobs that make no sense; each before anything is touched.
refused 1 'running there already' "$ballast" host start -s host.memory=4mb
other="$work/other.sock"
refused 2 'host.memory=SIZE' "$ballast" host start -S "$other"
refused 1 'this machine has available' "$ballast" host start -S "$other" -s host.memory=4000gb
refused 2 'take random or fifo' "$ballast" host start -S "$other" -s host.memory=4mb -s swap.victim=lru
refused 2 'take random or sequential' "$ballast" host start -S "$other" -s host.memory=4mb -s share.scan=ksm
refused 2 'take esx' "$ballast" host start -S "$other" -s host.memory=4mb -s sample.sampler=exact
echo mine >"$work/file"
refused 2 'and no socket' "$ballast" host start -S "$work/file" -s host.memory=4mb
grep -q mine "$work/file" || fail "a host removed a file"
refused 1 'no host is running there' "$ballast" host status -S "$other"
refused 1 'no host is running there' "$ballast" vm start -S "$other" a "$verify" - 1 1 1
[ -e "$other" ] || [ -e "$other.agents" ] || [ -e "$other.lock" ] && fail "a refused host left sockets"
nobody=$(getent passwd nobody | cut -d: -f3)
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && [ -n "$nobody" ] &&
	[ "$(sysctl -n vm.unprivileged_userfaultfd)" = 0 ]; then
	cp "$ballast" "$work/ballast" && chmod 755 "$work" "$work/ballast"
	refused 1 'no right to use userfaultfd' setpriv --reuid="$nobody" --clear-groups \
		"$work/ballast" host start -S "/tmp/refused.$$" -s host.memory=4mb
	refused 1 "another user's" setpriv --reuid="$nobody" --clear-groups "$work/ballast" host status
	rm -f "/tmp/refused.$$.log"
fi

# Guests that cannot be.
refused 1 'ended before it mapped its memory' "$ballast" vm start gone -m 8mb --heap off true
refused 2 'no such program' "$ballast" vm start gone -m 8mb /no/such/program
refused 2 'whole number of 4 KiB pages' "$ballast" vm start odd -m 5kb "$verify" - 1 1 1
refused 1 "31 letters" "$ballast" vm start 'a b' -m 8mb "$verify" - 1 1 1
refused 2 'no kernel there' "$ballast" vm start linux --kernel "$work/none"
refused 2 'no disk image there' "$ballast" vm start linux --disk "$work/none"
refused 1 'apt-get install qemu-system-x86' env PATH="$work" "$ballast" vm start linux --linux --accel tcg
refused 1 'no guest named' "$ballast" vm stop nobody
"$ballast" vm start quits -f -m 8mb --heap off true || fail "a program in the foreground: $?"
printf '#!/bin/sh\n# It leaves $BALLAST_RAM alone.\nexec sleep 1000\n' >"$work/idler"
chmod 755 "$work/idler"
for how in "" -f; do # shellcheck disable=SC2086
	"$ballast" vm start idler $how -m 8mb "$work/idler" >"$work/out" 2>&1 &
	starter=$!
	for _ in $(seq 600); do
		pgrep -P $starter >/dev/null && "$ballast" vm list | grep -q '^idler *expected' && break
		sleep 0.05
	done
	guest=$(pgrep -P $starter)
	kill -TERM $starter
	wait $starter 2>/dev/null
	[ $? = 143 ] && [ -n "$guest" ] || fail "vm start $how, told to end: not by SIGTERM: $(cat "$work/out")"
	for _ in $(seq 100); do
		case $(ps -o stat= -p "$guest") in '' | Z*) break ;; esac
		sleep 0.05
	done
	case $(ps -o stat= -p "$guest") in '' | Z*) ;; *) fail "vm start $how, told to end, leaves its guest" ;; esac
done
[ "$("$ballast" vm list | wc -l)" = 1 ] || fail "refused guests are there: $("$ballast" vm list)"

# Hostile clients and agents.
command -v python3 >/dev/null || python3() { echo "not JSON, there is no 'what', cut off"; }
printf 'nonsense\n{"do":"what"}\n' | timeout 20 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.stdin.buffer.read())
f = s.makefile(); print(f.readline() + f.readline())
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
try: s.sendall(b"x" * 200000)
except OSError: pass
many = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(100)]
for one in many: one.connect(sys.argv[1] + ".agents")
print("of too many one was cut off" if many[0].recv(1) == b"" else "")
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1] + ".agents")
s.send(b"\1\0\0\0" * 20); print(s.recv(4096)[72:120])
' "$BALLAST_SOCKET" >"$work/out" 2>&1
grep -q 'not JSON' "$work/out" && grep -q 'cut off' "$work/out" && grep -q "there is no 'what'" "$work/out" ||
	fail "hostile clients were told: $(cat "$work/out")"

# Guests that are: one ends by itself, one is stopped, one is killed.
for guest in ends:6 stops:60 dies:60; do
	"$ballast" vm start "${guest%:*}" -m 32mb "$verify" - "${guest#*:}" 2 1 >"$work/out" 2>&1 ||
		fail "$(cat "$work/out")"
done
refused 1 'a guest named ends already' "$ballast" vm start ends -m 32mb "$verify" - 1 1 1
"$ballast" vm set dies --shares 10 --min 4mb || fail "vm set: $?"
"$ballast" vm list --json | grep -A90 '"name": "dies"' | grep -q '"shares": 10,\?$' || fail "vm set sets no shares"
refused 1 'min is at most max' "$ballast" vm set dies --max 64mb
refused 1 'min is at most max' "$ballast" vm set dies --max 2mb
refused 2 'give 0 to 4294967295' "$ballast" vm set dies --shares many
refused 1 'no guest named' "$ballast" vm set nobody --shares 3
sleep 1
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
"$ballast" vm list | grep -q '^dies .*running' || fail "$("$ballast" vm list)"
"$ballast" top --once -d 500ms | awk '$1 == "dies" && $10 > 0 && $NF == "running" { n++ } END { exit !n }' ||
	fail "$("$ballast" top --once)"
"$ballast" top --once --json | python3 -c '
import json, sys
top = json.load(sys.stdin)
vm = {v["name"]: v for v in top["vms"]}["dies"]
assert vm["mib"] == 32 and vm["private_mib"] + vm["shared_mib"] + vm["swapped_mib"] <= 32
assert top["host"]["frames"] == 16384
' || fail "top --once --json: $("$ballast" top --once --json)"
refused 2 'needs a terminal' "$ballast" top
refused 2 '100ms to 1h' "$ballast" top --once -d 2h
if command -v script >/dev/null; then
	(sleep 1 && printf fq) | TERM=xterm timeout 20 script -qec "$ballast top" /dev/null >"$work/out" ||
		fail "top on a terminal: $?"
	grep -q "MiB, high: .* free" "$work/out" && grep -q dies "$work/out" || fail "top shows $(head -c 500 "$work/out")"
fi
kill -9 "$("$ballast" vm list | awk '$1 == "dies" { print $3 }')"
"$ballast" vm stop stops
for _ in $(seq 600); do
	[ "$("$ballast" vm list | wc -l)" = 1 ] && break
	sleep 0.1
done
grep -q ' bad 0$' "$BALLAST_SOCKET.ends.log" || fail "ends: $(cat "$BALLAST_SOCKET.ends.log")"
grep -q ' bad 0$' "$BALLAST_SOCKET.stops.log" || fail "stops: $(cat "$BALLAST_SOCKET.stops.log")"
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
"$ballast" host status | grep -q '64.0 MiB, 64.0 free.* 0 guests' || fail "$("$ballast" host status)"

# The host's end is its guests', and it leaves no sockets.
"$ballast" vm start last -m 32mb "$verify" - 60 2 1 >"$work/out" 2>&1 || fail "$(cat "$work/out")"
"$ballast" host stop || fail "host stop: $?"
grep -q ' bad 0$' "$BALLAST_SOCKET.last.log" || fail "last: $(cat "$BALLAST_SOCKET.last.log")"
[ -e "$BALLAST_SOCKET" ] || [ -e "$BALLAST_SOCKET.agents" ] && fail "sockets are left"
[ -e "$BALLAST_SOCKET.lock" ] && fail "a lock is left"

# A swap area that is too small stops the guest that needs it, with the mend, and not the host.
# What a manager left that died while it began is in nobody's way.
python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind(sys.argv[1])' "$BALLAST_SOCKET.agents"
mkdir "$work/swap"
"$ballast" host start -s host.memory=16mb -s swap.size=4mb -s swap.dir="$work/swap" >"$work/out" 2>&1 || fail "$(cat "$work/out")"
"$ballast" vm start large -m 40mb "$verify" - 60 2 1 >"$work/out" 2>&1
for _ in $(seq 600); do
	"$ballast" vm list -a | grep -q '^large *failed.*raise swap.size' && break
	sleep 0.1
done
"$ballast" vm list -a | grep -q '^large *failed.*raise swap.size' || fail "$("$ballast" vm list -a)"
"$ballast" vm start fits -m 12mb "$verify" - 60 1 1 >"$work/out" 2>&1 || fail "$(cat "$work/out")"
"$ballast" vm list | grep -q '^fits *running' || fail "$("$ballast" vm list)"
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"

# While the manager is dead and not yet followed, its place is still its host's. The next one
# does without the folder of the swap file, which it has.
rmdir "$work/swap" || fail "the swap file has a name"
pid_of_manager() {
	"$ballast" host status --json | awk '$1 == "\"pid\":" { print $2 + 0; exit }'
}
manager=$(pid_of_manager)
keeper=$(awk '/^PPid:/ { print $2 }' "/proc/$manager/status")
kill -STOP "$keeper" && kill -9 "$manager"
refused 1 'running there already' "$ballast" host start -s host.memory=4mb
kill -CONT "$keeper"
"$ballast" vm list | grep -q '^fits *running' || fail "after another's start: $("$ballast" vm list)"
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"

# Without its keeper the manager ends the guests, and itself.
manager=$(pid_of_manager)
kill -9 "$keeper"
for _ in $(seq 600); do
	kill -0 "$manager" 2>/dev/null || break
	sleep 0.1
done
kill -0 "$manager" 2>/dev/null && fail "the manager outlives its keeper"
grep -q ' bad 0$' "$BALLAST_SOCKET.fits.log" || fail "fits: $(cat "$BALLAST_SOCKET.fits.log")"

# A host that is told to end takes no more guests; its sockets go before whoever waits for that goes on.
"$ballast" host start -s host.memory=16mb >"$work/out" 2>&1 || fail "$(cat "$work/out")"
if type -P python3 >/dev/null; then
	printf '{"do":"shutdown"}\n{"do":"add","vm":"late","pages":16}\n' | timeout 20 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.stdin.buffer.read())
f = s.makefile(); print(f.readline() + f.readline())
' "$BALLAST_SOCKET" >"$work/out" 2>&1
	grep -q 'about to end' "$work/out" || fail "a guest in a host that ends: $(cat "$work/out")"
else
	"$ballast" host stop || fail "host stop: $?"
fi
for _ in $(seq 3000); do
	[ -e "$BALLAST_SOCKET" ] || break
	sleep 0.01
done
[ -e "$BALLAST_SOCKET" ] || [ -e "$BALLAST_SOCKET.agents" ] && fail "sockets are left"
exit $bad
