#!/bin/sh
# Every translation mode gives each reference of a trace the same page, frame and
# rights, whatever else happens on the host: swapping, sharing, sampling, forks.
. "$(dirname "$0")/../lib.sh"

# Processes that fork, write, unmap and end, in virtual addresses far apart.
awk 'BEGIN {
	srand(11)
	print "page,op,content"
	for (i = 0; i < 900; i++) print (i % 3) * 134217728 + int(i / 3) ",w," (1 + i % 40)
	for (round = 0; round < 40; round++) {
		child = 1 + round % 5
		for (i = 0; i < 400; i++) {
			page = int(rand() * 3) * 134217728 + int(rand() * 300)
			print page (rand() < 0.3 ? ",w," : ",r,")
		}
		if (round % 4 == 3) print int(rand() * 300) ",unmap,20"
		print child ",fork," ; print child ",switch,"
	}
}' >"$work/procs.csv"
"$ballast" trace import --space=vpn "$work/procs.csv" -o "$work/procs.bt" >/dev/null ||
	fail "import"

cat >"$work/job" <<END
host {
	frames = 1200
	thresholds = none
}
sample {
	sampler = esx
	period = 1ms
}
swap {
	read_time = 10us
	write_time = 10us
}
share {
	scan = random
	rate_vm = 100k
	rate_total = 0
	period = 100us
}
vm a {
	trace = "$work/procs.bt"
	memory = 16mb
}
gen z {
	law = zipf
	refs = 20000
	pages = 700
}
vm b {
	gen = z
	memory = 4mb
}
END

digests() {
	python3 - "$1" <<END
import json, sys
vm = json.load(open(sys.argv[1]))["vm"]
print(*(vm[v]["translation_digest"] for v in "ab"))
END
}

first=
for mode in $("$ballast" list translation | awk '/^    [a-z]/ { print $1 }'); do
	"$ballast" run "$work/job" -s vm.a.translation="$mode" -s vm.b.translation="$mode" \
		-s run.digest=on -s host.audit=10ms --json >"$work/$mode.json" ||
		fail "$mode: exit $?"
	now=$(digests "$work/$mode.json")
	[ -n "$first" ] || first=$now
	[ "$now" = "$first" ] || fail "$mode: $now, not $first"
done
runs=
# Frames in runs are the same for all modes, too, which map them as they like; and with
# bytes, each page reads in the end as what was last written to it.
for mode in $("$ballast" list translation | awk '/^    [a-z]/ { print $1 }'); do
	"$ballast" run "$work/job" -s vm.a.translation="$mode" -s vm.b.translation="$mode" \
		-s run.digest=on -s host.backing=ram -s run.oracle=on -s mmu.large=on \
		-s large.frames=reserve -s large.collapse_period=1ms --json >"$work/ram" 2>"$work/err" ||
		fail "$mode, with bytes: exit $?: $(cat "$work/err")"
	grep -q '"share_merged": [1-9]' "$work/ram" || fail "$mode, with bytes: nothing was shared"
	now=$(digests "$work/ram")
	[ "$mode" = flat ] && runs=$now
	[ "$now" = "$runs" ] || fail "$mode, in runs: $now, not $runs"
done
grep -q '"share_merged": [1-9]' "$work/flat.json" || fail "nothing was shared"
grep -q "\"swap_outs\": [1-9]" "$work/flat.json" || fail "nothing was swapped"

# A digest tells a change: another seed of the second VM's trace.
"$ballast" run "$work/job" -s run.digest=on -s gen.z.seed=2 --json >"$work/other.json"
[ "$(digests "$work/other.json")" != "$first" ] || fail "digests do not see references"

# Memory that does not suffice is an input error that says so.
"$ballast" run "$work/job" -s vm.a.translation=ept -s vm.a.memory=1mb 2>"$work/err"
[ $? = 2 ] && grep -q 'raise vm.a.memory' "$work/err" || fail "$(cat "$work/err")"
exit $bad
