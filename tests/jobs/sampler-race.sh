#!/bin/sh
# sampler-race: a row per run, costs that follow from the counts, an error of esx
# on a steady program within what chance leaves.
. "$(dirname "$0")/../lib.sh"
not_in '*san*' "a minute of references, and nothing that the unit tests do not touch"

"$ballast" reproduce sampler-race -o "$work/a" >"$work/out" 2>"$work/err" || {
	echo "exit code $?: $(cat "$work/out" "$work/err")"
	exit 1
}
grep -q 'expectations: 2 of 2 hold' "$work/out" || fail "expectations: $(cat "$work/out")"

# Costs by hand: 0.5 us an invalidation, 1 us a fault, 5 ns a bit, two periods a minute.
awk -F, '
	NR == 1 { next }
	{ cpu = 2 * (0.5 * $8 + $9 + 0.005 * $10); n++ }
	$7 - cpu > 0.2 + 0.01 * cpu || cpu - $7 > 0.2 + 0.01 * cpu { print "cost: " $0 " not " cpu; bad = 1 }
	$2 == "esx" && ($8 > $3 || $9 > $3) { print "more than its pages: " $0; bad = 1 }
	$2 == "abit" && $9 + $8 > 0 { print "faults: " $0; bad = 1 }
	$2 == "none" && $7 > 0 { print "cost: " $0; bad = 1 }
	# The program touches 5.8 % of a VM of 8192: sd 2.3 points for 100 pages, less by averaging.
	$1 == "xz" && $2 == "esx" && $3 == 100 && !($4 > 0.3 && $4 < 3) { print "error: " $0; bad = 1 }
	$1 == "xz" && $2 == "esx" { if (n > 1 && last && $4 > last) { print "worse with more: " $0; bad = 1 } last = $4 }
	END { if (n != 27) { print n " rows"; bad = 1 } exit bad }
	' "$work/a/sampler-race.csv" || bad=1

# The job beside it makes its row's cost again: ns over some 20 minutes.
"$ballast" run "$work/a/sampler-race-toucher-esx-100.job" --json >"$work/json" || fail "the job: exit code $?"
ns=$(sed -n 's/.*"sample_ns": \([0-9]*\).*/\1/p' "$work/json")
awk -F, -v ns="${ns:-0}" '$1 == "toucher" && $2 == "esx" && $3 == 100 { d = $7 - ns / 20000; found = d < 0.1 && d > -0.1 }
	END { exit !found }' "$work/a/sampler-race.csv" || fail "the job costs $ns ns"
exit $bad
