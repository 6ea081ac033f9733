#!/bin/sh
# The sweeps that come with the program: each plan is good, each job runs, and the
# answers give the figures of the runs at hand, say what does not hold, and what was
# not asked.
#
#   WHOLE=1 tests/jobs/sweeps.sh    each with its own axes and seeds (two minutes)
. "$(dirname "$0")/../lib.sh"
[ "$build" = build ] || skip "many runs; sweep.sh and compare.sh drive the same code"
cd "$work" || exit 1

# mean FILE COLUMN WORD..: a metric's mean in the row of points.csv that begins so.
mean() {
	awk -F, -v column="$2" -v want="$3" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == column " mean") c = i }
		index($0, want) == 1 { print $c }' "$1/points.csv"
}

# more A B WHAT
more() {
	awk "BEGIN { exit !($1 > $2) }" || fail "$3: $1 is not more than $2"
}

"$ballast" sweep --list | sed -n 's/^@\([a-z-]*\) .*?$/\1/p' >names
[ "$(wc -l <names)" -ge 7 ] || fail "--list: $("$ballast" sweep --list)"
while read -r name; do
	"$ballast" sweep "@$name" --dry-run >plan 2>err </dev/null || fail "@$name: $(cat err)"
	grep -q '^axis ' plan || fail "@$name varies nothing"
	[ -n "${WHOLE:-}" ] || continue
	"$ballast" sweep "@$name" -o "whole-$name" >out 2>err </dev/null || fail "@$name: $(cat out err)"
	grep -q '^Answer: ' out || fail "@$name has no answer: $(cat out)"
done <names

"$ballast" sweep @tax-rate --seeds 3 --vary tax.rate=0,0.5,0.99 -o tax >out 2>err || fail "$(cat err)"
mb() {
	awk "BEGIN { printf \"%.0f\", $(mean tax "$1" "$2") / 256 }"
}
grep -q "^Answer: It keeps $(mb vm.idle.held 0,) MB of 128 without a tax and $(mb vm.idle.held 0.99,) at 99 %, and the \
other has $(mb vm.active.held 0,) and $(mb vm.active.held 0.99,)\.\$" out || fail "the answer: $(cat out)"
grep -q "^Of the answer's 3 statements, 2 are about points that were not run" out || fail "not asked: $(cat out)"
more "$(mean tax vm.idle.held 0,)" "$(mean tax vm.idle.held 0.5,)" "the idle VM, untaxed"
more "$(mean tax vm.idle.held 0.5,)" "$(mean tax vm.idle.held 0.99,)" "the idle VM at half the tax"
more "$(mean tax vm.active.held 0.99,)" "$(mean tax vm.active.held 0,)" "the other, taxed"
grep -q '^Question: How much does a VM that idles keep' out || fail "$(cat out)"

"$ballast" sweep @overcommit --seeds 2 --vary host.frames=60000,24000 --vary swap.victim=random,clock \
	-s gen.work.refs=300k -s gen.work2.refs=300k -s gen.work3.refs=300k -s gen.work4.refs=300k \
	-o over >out 2>err || fail "$(cat err)"
more "$(mean over 'vm.*.faults' 24000,random)" "$(mean over 'vm.*.faults' 24000,clock)" "random at 2.5"
more "$(mean over host.time_ns 24000,clock)" "$(mean over host.time_ns 60000,clock)" "2.5 against 1.0"

# What a change of the job makes untrue is said, and is worth exit code 3.
"$ballast" sweep @tax-rate --resume --vary tax.rate=0,0.5,0.99 -o tax --json >out 2>err
rc=$?
[ $rc = 0 ] && grep -q '"holds": null' out && grep -q '"holds": true' out || fail "--json: $rc, $(cat out err)"
"$ballast" sweep @overcommit --seeds 1 --vary host.frames=40000,24000 --vary swap.victim=random,clock \
	-s gen.work.refs=2k -s gen.work2.refs=2k -s gen.work3.refs=2k -s gen.work4.refs=2k -o idle >out 2>err
rc=$?
[ $rc = 3 ] && grep -q '^Expected, and does not hold here: From 1.5 on clock takes 0 to 0 % less' out &&
	! grep -q '^Answer' out || fail "what does not hold: exit code $rc, $(cat out err)"

"$ballast" sweep @scan-rate --seeds 1 --vary share.rate_vm=10 --vary share.scan=random,sequential \
	-o scan >out 2>err || fail "$(cat err)"
more "$(mean scan host.share_saved/host.frames 10,sequential)" \
	"$(mean scan host.share_saved/host.frames 10,random)" "a scan in order"

"$ballast" sweep @samples --seeds 4 --vary sample.pages=10,1000 --vary sample.period=30s -o samples \
	>out 2>err || fail "$(cat err)"
awk -F, '$1 == 1000 && !($4 > 0.95 && $4 < 1.05) { print "1,000 samples: " $4; exit 1 }' samples/points.csv || bad=1
"$ballast" sweep @victms 2>err
[ $? = 2 ] && grep -q "did you mean '@victims'" err || fail "a wrong name: $(cat err)"
exit $bad
