#!/bin/sh
# esx-ioremap: the copies, worked out by hand where a page's are threshold many;
# a trace of the same records gives the same; the same bytes again.
. "$(dirname "$0")/../lib.sh"
not_in '*san*' "millions of references, and nothing that the unit tests do not touch"

for run in a b; do
	"$ballast" reproduce esx-ioremap -o "$work/$run" >"$work/out" 2>"$work/err" || {
		echo "exit code $?: $(cat "$work/out" "$work/err")"
		exit 1
	}
done
cmp "$work/a/esx-ioremap.csv" "$work/b/esx-ioremap.csv" || fail "not the same bytes"
grep -q 'expectations: 3 of 3 hold' "$work/out" || fail "expectations: $(cat "$work/out")"

# Each page that moved was copied threshold times, and no other ever: of a ring of
# 256 those that lie high. Without remapping they are copied in every round.
awk '
	$1 == "on" { if ($3 != $2 * $6) { print "copies: " $0; bad = 1 } moved[$6]++; high = $6; n++ }
	$1 == "off" { off = $2 }
	$1 == "full" && $2 ~ /^[0-9]/ { if ($2 != 16 * $5 || $5 != $6) { print "full: " $0; bad = 1 } n++ }
	END {
		rounds = 1000000 / 256
		if (n != 4 || high > 256 || off < (rounds - 1) * high || off > (rounds + 1) * high) {
			print "off: " off ", high " high ", " n; bad = 1
		}
		exit bad
	}' "$work/out" || fail "$(cat "$work/out")"

# From a file, by the records alone.
cat >"$work/io.job" <<'END'
host { memory = 16mb low_memory = 4mb }
cost { ref = 100ns }
io { remap = on threshold = 8 }
vm a { trace = "net.bt" }
END
(
	cd "$work" || exit 1
	"$ballast" trace gen netbuf -s pages=4000 -s set_pages=100 -s refs=100k -s pace=10us -o net.bt >/dev/null
	"$ballast" run io.job --json >file.json
	echo 'gen g { law = netbuf pages = 4000 set_pages = 100 refs = 100k pace = 10us }
		vm a { trace = "" gen = g }' >>io.job
	"$ballast" run io.job --json >gen.json
	for name in io_dma io_copies io_moved; do
		grep "\"$name\"" file.json >"$name.file"
		grep "\"$name\"" gen.json | cmp - "$name.file" || exit 1
		grep -q '[1-9]' "$name.file" || exit 1
	done
) || fail "a trace file and its generator differ"

"$ballast" run "$work/io.job" -s host.low_memory=0 2>"$work/err" && fail "remapped without low memory"
grep -q 'io.remap needs low memory' "$work/err" || fail "$(cat "$work/err")"
exit $bad
