#!/bin/sh
# sharing-scan: its rows, and what the policies keep against what the contents allow.
. "$(dirname "$0")/../lib.sh"
not_in '*thread*' "processes of one thread each: nothing for ThreadSanitizer to find"

# What is kept at the highest rate is what the contents allow. Of
# 4,096 pages a VM has 7 % zero, 10 % copies, 50 % of a pool; by the law sharing
# saves 4 * (7 % + 10 % + 50 %) less 4 % / 0.9 * (1 - 0.1^4) and 50 % / 0.9 * (1 - 0.1^4)
# of a VM, so 52.0 % of four; 200 pages of each, 4.9 %, are always being rewritten.
"$ballast" reproduce sharing-scan -o "$work/s" >"$work/out" 2>"$work/err" || fail "$(cat "$work/err")"
awk -F, '
	NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
	{ at = $1 " " $2; rows[at]++; time[at] = $3; now = $col["reclaimed_pct"] }
	$3 != time[at] || $4 + 0 < cpu[at] + 0 || now > $col["shared_pct"] + 0 { print "row: " $0; bad = 1 }
	{ cpu[at] = $4 }
	$9 != "" { kept[at] = $9; spent[at] = $8 }
	$1 == "none" && now + $4 > 0 { print "none: " $0; bad = 1 }
	END {
		for (at in rows) if (rows[at] != 40) { print at ": " rows[at] " rows"; bad = 1 } else runs++
		if (runs != 21) { print runs " runs, not 21"; bad = 1 }
		best = (4 * 67 - 54 / 0.9 * (1 - 0.1 ^ 4)) / 4
		split("random sequential idle-first ksm", names, " ")
		for (i in names) {
			k = kept[names[i] " 100"]
			if (!(k > best - 4.9 && k < best + 1)) { print names[i] " keeps " k " of " best; bad = 1 }
		}
		if (spent["ksm 100"] < 5 * spent["random 100"]) { print "ksm is cheap: it hashes pages again"; bad = 1 }
		exit bad
	}' "$work/s/sharing-scan.csv" || bad=1
grep -q '^  So: to keep [45]' "$work/out" || fail "no answer: $(cat "$work/out")"
for word in random sequential idle-first ksm none minutes 'CPU time'; do
	grep -q ">[^<]*${word}[^<]*<" "$work/s/sharing-scan.svg" || fail "the SVG does not say $word"
done
exit $bad
