#!/bin/sh
# The ESX paper's Fig. 6: the distance from the paper's curve, computed again from
# the rows and the paper's table; two runs give the same bytes.
. "$(dirname "$0")/../lib.sh"
not_in '*san*' "a minute of references, and nothing that the unit tests do not touch"

"$ballast" reproduce esx-fig6 -o "$work/a" >"$work/out" 2>"$work/err" || {
	echo "exit code $?: $(cat "$work/out" "$work/err")"
	exit 1
}
grep -q 'expectations: 10 of 10 hold' "$work/out" || fail "expectations: $(cat "$work/out")"

# Both tables side by side: the paper's numbers are the paper's, ours are near; seed 1 as told.
grep -v '^#' experiments/paper/fig6_sampling.csv >"$work/paper.csv"
paste -d, "$work/a/esx-fig6.csv" "$work/paper.csv" | awk -F, '
	NR == 1 { next }
	$1 != $12 || $2 != $13 || $11 != $16 { print "not the paper: " $0; exit 1 }
	$7 > $5 + 0.1 || $8 < $5 - 0.1 || $7 > $6 + 0.1 || $8 < $6 - 0.1 { print "band: " $0; exit 1 }
	$3 > $5 + 0.1 || $4 > $5 + 0.1 { print "not the greatest: " $0; exit 1 }
	{ sum += ($5 - $16) ^ 2; n++ }
	END { if (n != 401) { print n " rows"; exit 1 }; printf "%.1f\n", sqrt(sum / n) }
	' >"$work/rms" || fail "$(cat "$work/rms")"
told=$(sed -n 's/^ *greatest *\([0-9.]*\) .*/\1/p' "$work/out")
[ "$told" = "$(cat "$work/rms")" ] || fail "told $told, from the rows $(cat "$work/rms")"
awk -v x="$told" 'BEGIN { exit !(x > 3 && x < 15) }' || fail "RMS $told"

"$ballast" reproduce esx-fig6 -o "$work/b" >/dev/null 2>"$work/err" || fail "again: $?"
cmp "$work/a/esx-fig6.csv" "$work/b/esx-fig6.csv" || fail "not the same bytes"
exit $bad
