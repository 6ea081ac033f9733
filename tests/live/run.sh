#!/bin/bash
# Live jobs: ballast run with guests instead of traces gives the same result
# directory, judged by the same expectations; bad jobs are refused, and an
# interrupted run leaves nothing behind.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=$PWD/${BUILD:-build}/ballast
work=$(mktemp -d)
export TMPDIR=$work/tmp # where a run keeps its sockets and logs
mkdir "$TMPDIR"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
bad=0

fail() {
	echo "$*"
	bad=1
}

cat >"$work/two.job" <<'END'
host { memory = 24mb }
share { scan = random  rate_vm = 4k  rate_total = 0 }
sample { sampler = esx  period = 1s }
vm a { live = process  memory = 16mb  program = "verify - 5 2 1" }
vm b { live = process  memory = 16mb  program = "verify - 60 2 2"  start = 1s }
at 4s { remove = b  set = "share.rate_vm=1k" }
expect right { of = "vm.a.bad"  value = 0 }
expect right-b { of = "vm.b.bad"  value = 0 }
expect pressed { of = "vm.a.swap_outs"  relation = at-least  value = 10 }
expect full { of = "host.free"  at = 3s  relation = at-most  value = 3072 }
END
"$ballast" run "$work/two.job" -o "$work/out" >"$work/told" 2>"$work/err" || {
	grep -q userfaultfd "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	fail "exit code $?: $(cat "$work/told" "$work/err")"
}
grep -q 'expectations: 4 of 4 hold' "$work/told" || fail "$(cat "$work/told")"
[ "$(ls "$work/out" | tr "\n" " ")" = "events.csv guest-a.log guest-b.log run.json series.csv summary.json " ] ||
	fail "not these files: $(ls "$work/out")"
grep -q '"live": true' "$work/out/run.json" && grep -q '"program": ".*/guest/verify"' "$work/out/run.json" ||
	fail "run.json does not say what was run"
grep -q ' bad 0$' "$work/out/guest-b.log" || fail "b: $(cat "$work/out/guest-b.log")"
# The host's clock leaves out what it was late, so that the guest's 5 s may be a little less.
awk -F, '
	$2 == "b" && $3 == "started" && $1 >= 1 && $1 < 2 { n++ }
	$2 == "b" && $3 == "removed" && $1 >= 4 && $1 < 5 { n++ }
	$2 == "a" && $3 == "ended" && $1 >= 4.5 { n++ }
	$3 == "set" && $1 >= 4 && $1 < 5 { n++ }
	END { exit n != 4 }
	' "$work/out/events.csv" || fail "$(cat "$work/out/events.csv")"
# Rows by the second; b has columns only from when it is there; frames add up in each.
awk -F, '
	NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
	{ private = $at["vm.a.private"] + $at["vm.b.private"] }
	$1 < 4.5 && $1 != int($1) { print "not a second: " $1; bad = 1 }
	$at["host.private"] != private { print "frames: " $0; bad = 1 }
	$1 < 1 && $at["vm.b.faults"] != "" { print "b is there already: " $0; bad = 1 }
	END { exit bad || NR < 7 || !("vm.a.ops_per_s" in at) || !("vm.a.steal" in at) }
	' "$work/out/series.csv" || fail "$(cat "$work/out/series.csv")"

# A guest whose program fails is a failed run, and the others run on; --json has it all.
sed -i 's/^vm b.*/vm b { live = process  memory = 16mb  program = "false" }/; /^at/d; /^expect/d; s/- 5/- 1/' "$work/two.job"
"$ballast" run "$work/two.job" --json >"$work/json" 2>"$work/err"
rc=$?
[ $rc = 1 ] && grep -q '^ballast: vm b: false ended ' "$work/err" ||
	fail "a program that fails: $rc: $(cat "$work/err")"
sed -n '/"vm": {/,/^  }/p' "$work/json" | grep -q '"bad": 0' || fail "a program that fails takes another with it"

# An interrupted run ends its guests, and nothing of it is left.
sed -i 's/^vm b.*//; s/- 1 2/- 60 2/' "$work/two.job"
for signal in TERM KILL; do
	"$ballast" run "$work/two.job" -o "$work/cut" >/dev/null 2>&1 &
	pid=$!
	guest=
	for _ in $(seq 300); do
		guest=$(ps -o pid= --ppid $pid | xargs)
		[ -n "$guest" ] && break
		sleep 0.1
	done
	sleep 0.3
	kill -$signal $pid
	wait $pid 2>/dev/null
	rc=$?
	[ $rc = $((128 + $(kill -l $signal))) ] || fail "SIG$signal: exit code $rc"
	sleep 0.2
	[ -n "$guest" ] || fail "SIG$signal: there was no guest"
	case $(ps -o stat= -p "${guest:-1}") in '' | Z*) ;; *) fail "SIG$signal leaves a guest behind" ;; esac
	[ $signal = KILL ] || [ -z "$(ls -A "$TMPDIR")" ] || fail "SIG$signal leaves $(ls -A "$TMPDIR")"
	[ $signal = KILL ] || [ ! -e "$work/cut" ] || fail "SIG$signal leaves results"
	rm -rf "$work/cut" "${TMPDIR:?}"/*
done

# A guest that never came to the host is ended with the run as well.
printf '#!/bin/sh\n# It leaves $BALLAST_RAM alone.\nexec sleep 1000\n' >"$work/idler"
chmod 755 "$work/idler"
echo "host { memory = 24mb } live { time = 1s }
	vm a { live = process  memory = 16mb  program = $work/idler }" >"$work/idle.job"
timeout 60 "$ballast" run "$work/idle.job" >"$work/told" 2>"$work/err" || fail "a guest that never came: $?: $(cat "$work/err")"

# refused CODE WORDS TEXT [-s KEY=VALUE]...: one line, and no folder.
refused() {
	local code=$1 words=$2
	printf '%b' "$3" >"$work/bad.job"
	shift 3
	PATH=${path:-$PATH} "$ballast" run "$work/bad.job" -o "$work/no" "$@" >"$work/told" 2>"$work/err"
	local got=$?
	[ $got = "$code" ] || fail "exit code $got, must be $code: $(cat "$work/bad.job" "$work/err")"
	[ "$(wc -l <"$work/err")" = 1 ] || fail "not one line: $(cat "$work/err")"
	grep -qF -- "$words" "$work/err" || fail "says '$(cat "$work/err")', not '$words'"
	[ -e "$work/no" ] || [ -n "$(ls -A "$TMPDIR")" ] && fail "a refused job leaves something behind: $words"
	[ -s "$work/told" ] && fail "output before the error: $words"
}
host='host { memory = 24mb }\n'
a='vm a { live = process memory = 16mb program = "verify - 1 1 1" }\n'
gen='gen g { law = uniform refs = 1000 pages = 100 }\n'
refused 2 'make two jobs of it' "$host$a${gen}vm b { gen = g }\n"
refused 2 'vm.b.smp is nothing for a VM with live = none' "${gen}vm b { gen = g smp = 2 }\n"
refused 2 'vm.a.smp is nothing for a VM with live = process' "$host$a" -s vm.a.smp=2
refused 2 'vm.a.gen is nothing for a VM with live = process' "$host$a$gen" -s vm.a.gen=g
refused 2 'give vm.a.program' "$host vm a { live = process memory = 16mb }\n"
refused 2 'give vm.a.memory' "$host vm a { live = process program = true }\n"
refused 2 'vm.l.run, what it is to do, or live.time' "$host vm l { live = linux memory = 80mb accel = tcg }\n"
refused 2 'a Linux guest needs 72mb' "$host vm l { live = linux memory = 16mb accel = tcg run = true }\n"
refused 2 'whole number of 4 KiB pages' "$host$a" -s vm.a.memory=16385
refused 2 'nothing for a shell' "$host$a" -s 'vm.a.program=true; false'
refused 2 'no kernel there' "$host vm l { live = linux memory = 80mb accel = tcg run = true kernel = none }\n"
refused 2 'and a section at adds it' "$host$a at 1s { add = a }\n" -s vm.a.start=1s
refused 2 'take random or fifo' "$host$a" -s swap.victim=lru
refused 2 'run.oracle is nothing for live guests' "$host$a" -s run.oracle=on
refused 2 'host.memory=SIZE' "$a"
refused 2 'there is no such statistic' "$host$a expect x { of = \"vm.a.nothing\" }\n"
refused 1 'this machine has available' "$host$a" -s host.memory=4000gb
path=$work
refused 1 'apt-get install qemu-system-x86' "$host vm l { live = linux memory = 80mb accel = tcg run = true }\n"
exit $bad
