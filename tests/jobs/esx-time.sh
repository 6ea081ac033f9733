#!/bin/sh
# The ESX paper's figures over time, on modelled guests: what must hold does, counted again from the
# rows; the job that is left repeats the run.
. "$(dirname "$0")/../lib.sh"
not_in '*san*' "minutes under sanitizers; the same code runs in tests of jobs and models"

"$ballast" reproduce esx-fig7 esx-fig8 tax-sweep free-hints -o "$work/a" >"$work/out" 2>"$work/err" ||
	fail "exit code $?: $(cat "$work/out" "$work/err")"
grep -q 'expectations: 6 of 6 hold' "$work/out" || fail "esx-fig7: $(cat "$work/out")"
grep -q 'expectations: 13 of 13 hold' "$work/out" || fail "esx-fig8: $(cat "$work/out")"
grep -q 'expectations: 9 of 9 hold' "$work/out" || fail "tax-sweep: $(cat "$work/out")"
grep -q 'expectations: 2 of 2 hold' "$work/out" || fail "free-hints: $(cat "$work/out")"

# Fig. 7: means of the columns before and after 31 min; what both hold never passes what there is.
awk -F, '
	NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
	{ t = $1; one = $col["vm1_alloc"]; two = $col["vm2_alloc"] }
	t > 9 && t < 31 { b1 += one; b2 += two; nb++ }
	t > 32 { a1 += one; a2 += two; na++ }
	one + two > 449 - 64 + 0.1 { print "more than the machine has: " $0; bad = 1 }
	END {
		if (NR != 601) { print NR " rows"; bad = 1 }
		if (far(b1 / nb, 179, 3) || far(b2 / nb, 179, 3)) { print "before: " b1 / nb, b2 / nb; bad = 1 }
		if (far(a1 / na, 101, 5.05) || far(a2 / na, 243, 12.15)) { print "after: " a1 / na, a2 / na; bad = 1 }
		exit bad
	}
	function far(a, b, by) { return a - b > by || b - a > by }
	' "$work/a/esx-fig7.csv" || bad=1

# Fig. 8: the SQL server is never below its min once it has it, and more is held than there is.
awk -F, '
	NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
	$1 > 3.5 && $col["sql_alloc"] < 159.9 { print "below min: " $0; bad = 1 }
	$col["all_alloc"] > most { most = $col["all_alloc"] }
	END {
		if (NR != 901 || most <= 1024) { print NR " rows, most " most; bad = 1 }
		exit bad
	}
	' "$work/a/esx-fig8.csv" || bad=1

# The job alone makes the same run: at 20 and at 50 minutes both VMs hold what the rows say.
"$ballast" run "$work/a/esx-fig7.job" -o "$work/b" >"$work/text" 2>"$work/err" ||
	fail "the job: $(cat "$work/err")"
awk -F, '
	FNR == 1 { delete col; for (i = 1; i <= NF; i++) col[$i] = i; file++; next }
	file == 1 { one[int($1)] = $col["vm1_alloc"]; two[int($1)] = $col["vm2_alloc"] }
	file == 2 && ($1 == 1200 || $1 == 3000) {
		m = $1 / 60
		idle = $col["vm.windows.held"] / 256
		busy = $col["vm.linux.held"] / 256
		if (far(idle, one[m]) || far(busy, two[m])) { print m " min: " idle, one[m], busy, two[m]; bad = 1 }
		n++
	}
	END { exit bad || n != 2 }
	function far(a, b) { return a - b > 0.1 || b - a > 0.1 }
	' "$work/a/esx-fig7.csv" "$work/b/series.csv" || fail "the job alone is another run"
exit $bad
