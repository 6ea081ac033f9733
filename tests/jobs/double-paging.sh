#!/bin/sh
# Paging below a guest that pages: the order of the arms, from the rows; a job that
# is told gives its row; two runs give the same bytes.
. "$(dirname "$0")/../lib.sh"
not_in '*san*' "many runs of what the guest's own tests touch"

"$ballast" reproduce double-paging -o "$work/a" >"$work/out" 2>"$work/err" || {
	echo "exit code $?: $(cat "$work/out" "$work/err")"
	exit 1
}
grep -q 'expectations: 11 of 11 hold' "$work/out" || fail "expectations: $(cat "$work/out")"

# Who pages twice, and what is left of the work; the host reads nothing where it does not page.
awk -F, '
	NR == 1 { next }
	{ twice[$1, $2] = $3; out[$1, $2] = $8; host[$1, $2] = $5; work[$1, $2] = $9 }
	$3 > $5 || $3 > $8 { print "more than read or written: " $0; bad = 1 }
	$2 == "guest" && ($3 || $5 || $6) { print "a host that does not page: " $0; bad = 1 }
	END {
		for (mb = 80; mb <= 96; mb += 16) {
			if (!(twice[mb, "lru"] > 0.9 * out[mb, "lru"])) { print mb " lru"; bad = 1 }
			if (!(twice[mb, "random"] > 0.2 * out[mb, "random"])) { print mb " random"; bad = 1 }
			if (!(twice[mb, "balloon"] < 0.05 * out[mb, "balloon"])) { print mb " balloon"; bad = 1 }
			if (!(work[mb, "lru"] < work[mb, "random"])) { print mb " work, lru"; bad = 1 }
			if (!(work[mb, "random"] < 0.7 * work[mb, "balloon"])) { print mb " work, random"; bad = 1 }
		}
		exit bad || NR != 13
	}' "$work/a/double-paging.csv" || fail "the rows: $(cat "$work/a/double-paging.csv")"

"$ballast" reproduce double-paging --jobs 1 -o "$work/b" >/dev/null 2>"$work/err" || fail "again: $?"
cmp "$work/a/double-paging.csv" "$work/b/double-paging.csv" || fail "not the same bytes"

"$ballast" run "$work/a/double-paging-lru.job" --json >"$work/json" || fail "the job that is told"
twice=$(sed -n 's/^96,lru,\([0-9]*\),.*/\1/p' "$work/a/double-paging.csv")
grep -q "\"os_double_paged\": $twice," "$work/json" || fail "told $twice, ran $(grep double "$work/json")"
exit $bad
