#!/bin/sh
# The ESX paper's Fig. 2: the rows against the paper's table, computed again; two
# runs give the same bytes; the job that is told gives its row's balloon.
. "$(dirname "$0")/../lib.sh"
not_in '*san*' "many runs of what the guest's own tests touch"

"$ballast" reproduce esx-fig2 -o "$work/a" >"$work/out" 2>"$work/err" || {
	echo "exit code $?: $(cat "$work/out" "$work/err")"
	exit 1
}
grep -q 'expectations: 13 of 13 hold' "$work/out" || fail "expectations: $(cat "$work/out")"

# The paper's numbers are the paper's; ours within 3 %, the loss 1 to 6 %, the balloon exact.
grep -v '^#' experiments/paper/fig2_balloon.csv >"$work/paper.csv"
paste -d, "$work/a/esx-fig2.csv" "$work/paper.csv" | awk -F, '
	NR == 1 { next }
	$1 != $12 || $4 != $14 + 0 || ($1 < 256 && $7 != $13 + 0) { print "not the paper: " $0; bad = 1 }
	$3 / $14 > 1.03 || $3 / $14 < 0.97 { print "configured: " $0; bad = 1 }
	$1 == 256 { next }
	{ loss = 100 * (1 - $6 / $3) }
	loss - $8 > 0.02 || $8 - loss > 0.02 { print "loss: " $0; bad = 1 }
	loss < 1 || loss > 6 || $10 >= $8 || $11 > 1 || $11 < -1 { print "gap: " $0; bad = 1 }
	$5 - (256 - $1) > 0.1 || $5 - (256 - $1) < -0.1 { print "balloon: " $0; bad = 1 }
	END { if (NR != 6) print NR " rows"; exit bad || NR != 6 }
	' || bad=1

"$ballast" reproduce esx-fig2 --jobs 1 -o "$work/b" >/dev/null 2>"$work/err" || fail "again: $?"
cmp "$work/a/esx-fig2.csv" "$work/b/esx-fig2.csv" || fail "not the same bytes"

"$ballast" run "$work/a/esx-fig2-ballooned-128.job" --json >"$work/json" || fail "the job that is told"
balloon=$(sed -n 's/^ *"os_balloon": \([0-9]*\),*$/\1/p' "$work/json" | head -n 1)
[ "$balloon" -ge 32760 ] && [ "$balloon" -le 32776 ] || fail "its balloon: $balloon pages of 32768"
grep -q '"os_swap_out": 0' "$work/json" || fail "the guest swapped for its balloon"
exit $bad
