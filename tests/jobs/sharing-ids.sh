#!/bin/sh
# Pages whose contents nobody knows are never shared, wherever they have been
# meanwhile; and a scanner that would take all of a guest's time ends all the same.
. "$(dirname "$0")/../lib.sh"

# 2,000 pages written once, then read at random: no two are equal.
awk 'BEGIN {
	print "page,op"
	for (i = 0; i < 2000; i++) print i ",w"
	srand(7)
	for (i = 0; i < 30000; i++) print int(2000 * rand()) ",r"
}' >"$work/once.csv"
cat >"$work/job" <<END
host {
	frames = 500
	thresholds = none
}
share {
	rate_vm = 25k
	rate_total = 0
	period = 10ms
	charge = 0
}
vm a {
	trace = "$work/once.csv"
}
END
for scan in random sequential idle-first ksm; do
	for before in on off; do
		"$ballast" run "$work/job" -s share.scan=$scan -s share.before_swap=$before --json \
			>"$work/out" || bad=1
		grep -q '"share_scanned": [1-9]' "$work/out" || {
			echo "$scan: nothing was scanned"
			bad=1
		}
		grep -q '"share_merged": 0,' "$work/out" || {
			echo "$scan, before_swap=$before:" "$(grep share_merged "$work/out")"
			bad=1
		}
	done
done

# A hundred times more scanning than there is time for.
timeout 60 "$ballast" run "$work/job" -s share.scan=ksm -s share.rate_vm=3M \
	-s share.period=100us -s share.charge=1 -s swap.read_time=10us >/dev/null || {
	echo "no end: $?"
	bad=1
}
exit $bad
