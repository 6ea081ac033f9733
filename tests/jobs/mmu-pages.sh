#!/bin/sh
# mmu-pages: both modes saw the same references; the parts of a cost add up to it; where
# nothing is large no large page is counted; the job beside it makes its row again.
. "$(dirname "$0")/../lib.sh"
not_in '*san*' "tests/model/mmu.c runs every mode; this counts rows"

"$ballast" reproduce mmu-pages -o "$work/m" >"$work/out" 2>"$work/err" || {
	echo "exit code $?: $(cat "$work/out" "$work/err")"
	exit 1
}
awk -F, '
	NR == 1 { next }
	{
		rows[$1]++
		sum = $7 + $8 + $9 + $10 + $11
		if (sum < $6 - 0.01 || sum > $6 + 0.01) { print "parts: " $0; bad = 1 }
		if ($4 == "4k" && ($16 || $17)) { print "large pages of none: " $0; bad = 1 }
		if ($2 == "ept" && $4 == "2m" && !($16 + $17)) { print "no large pages: " $0; bad = 1 }
		if ($1 != "sharing" && $18 != 0) { print "shared: " $0; bad = 1 }
	}
	$5 == "" && $1 != "cold" {
		key = $1 "," $3 "," $4
		if (key in digest && digest[key] != $20) { print "digest: " $0; bad = 1 }
		digest[key] = $20
		both += key in digest
	}
	END {
		if (NR != 1 + 32 + 4 + 8 || rows["cold"] != 4 || both != 32) {
			print NR " rows, " rows["cold"] " cold"
			bad = 1
		}
		exit bad
	}' "$work/m/mmu-pages.csv" || bad=1
row=$(awk -F, '$1 == "sharing" && $5 == "break" { print $20 }' "$work/m/mmu-pages.csv")
"$ballast" run "$work/m/mmu-pages-sharing-break.job" --json >"$work/json" 2>"$work/err"
if [ -z "$row" ] || ! grep -q "\"translation_digest\": \"$row\"" "$work/json"; then
	echo "the job is not of the row's digest '$row': $(cat "$work/err")"
	bad=1
fi
for form in svg png; do
	[ -s "$work/m/mmu-pages.$form" ] || { echo "no figure.$form" && bad=1; }
done
exit $bad
