#!/bin/sh
# mmu-modes: every mode saw the same references; the parts of a cost add up to it;
# shadow tables and EPT cost the same somewhere in the sweep, told as it is in the rows.
. "$(dirname "$0")/../lib.sh"
not_in '*san*' "tests/jobs/mmu.sh runs every mode; this counts rows"

"$ballast" reproduce mmu-modes -o "$work/m" >"$work/out" 2>"$work/err" || {
	echo "exit code $?: $(cat "$work/out" "$work/err")"
	exit 1
}
awk -F, -v told="$(sed -n 's/.*cross at \([0-9.]*\) unmaps.*/\1/p' "$work/out")" '
	NR == 1 { next }
	{
		rows++
		sum = $5 + $6 + $7 + $8 + $9
		if (sum < $4 - 0.01 || sum > $4 + 0.01) { print "parts: " $0; bad = 1 }
		key = $1 "," $3
		if (key in digest && digest[key] != $15) { print "digest: " $0; bad = 1 }
		digest[key] = $15
	}
	$1 == "sweep" {
		if ($2 == "shadow") { shadow = $4; next }
		d = shadow - $4
		if (last != "" && last <= 0 && d > 0) at = 1000 * (x + ($3 - x) * last / (last - d))
		last = d; x = $3
	}
	END {
		if (rows != 32) { print rows " rows"; bad = 1 }
		if (at == "" || told == "" || at - told > 0.02 || told - at > 0.02) {
			print "they cross at " at ", told " told
			bad = 1
		}
		exit bad
	}' "$work/m/mmu-modes.csv" || bad=1
# The job beside it makes the row's references again.
row=$(awk -F, '$1 == "walker" && $2 == "ept" { print $15 }' "$work/m/mmu-modes.csv")
"$ballast" run "$work/m/mmu-modes-walker-ept.job" --json >"$work/json" 2>"$work/err"
if [ -z "$row" ] || ! grep -q "\"translation_digest\": \"$row\"" "$work/json"; then
	echo "the job is not of the row's digest '$row': $(cat "$work/err")"
	bad=1
fi
for form in svg png; do
	[ -s "$work/m/mmu-modes.$form" ] || { echo "no figure.$form" && bad=1; }
done
exit $bad
