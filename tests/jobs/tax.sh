#!/bin/sh
# Who gets the memory: VMs with min, max and shares, the timeline, and what is
# refused. Numbers by hand from the claims; what should hold, of what a run leaves.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
gens='gen all { law = sequential refs = 400k pages = 10k }
gen few { law = uniform refs = 400k pages = 10k }
'
# The job on standard input is refused with exit code 2 and one line with $1 in it.
refused() {
	{ printf '%s' "$gens" && cat; } >bad.job
	"$ballast" run bad.job >out 2>&1
	rc=$?
	[ $rc = 2 ] || fail "exit code $rc, not 2: $(cat bad.job)"
	[ "$(wc -l <out)" = 1 ] || fail "more than a line: $(cat out)"
	grep -qF -- "$1" out || fail "no '$1' in: $(cat out)"
}
esx='host { memory = 64mb thresholds = esx }'
refused 'bad.job:4: vm.a.min, 40mb, is above its max, 20mb' <<E
$esx
vm a { gen = all memory = 40mb min = 40mb max = 20mb }
E
refused 'bad.job:4: vm.a.max, 50mb, is above its memory, 40mb' <<E
$esx
vm a { gen = all memory = 40mb max = 50mb }
E
refused 'bad.job:4: vm.a.shares: -5 is out of range' <<E
$esx
vm a { gen = all shares = -5 }
E
refused 'bad.job:4: tax.rate: 1 is out of range; write 0 to 0.999999' <<E
$esx
tax { rate = 1 }
vm a { gen = all }
E
# 3 * 30 + 3 * 1 of 64 MB: 29 are missing.
refused 'bad.job:6: vm c does not fit: its min of 30 MB and overhead of 1 MB need 29 MB more' <<E
$esx
vm a { gen = all min = 30mb overhead = 1mb }
vm b { gen = all min = 30mb overhead = 1mb }
vm c { gen = all min = 30mb overhead = 1mb }
E
# 40 - 10 = 30 MB of 20 MB of swap.
refused 'vm a does not fit: max - min, 30 MB, needs 10 MB more than are left of 20 MB of swap' <<E
$esx
swap { size = 20mb }
vm a { gen = all memory = 40mb min = 10mb }
E
refused 'bad.job:5: at 5min: the job has no vm '"'b'"'; it has: a' <<E
$esx
vm a { gen = all }
at 5min { remove = b }
E
refused 'bad.job:5: at 5min: vm a is added twice' <<E
$esx
vm a { gen = all overhead = 0 }
at 5min { add = {a, a} }
E
refused 'bad.job:5: at 1min: vm a is not there yet' <<E
$esx
vm a { gen = all overhead = 0 }
at 1min { remove = a }
at 5min { add = a }
E
refused 'bad.job:5: at 1min: host.frames cannot be set while a job runs' <<E
$esx
vm a { gen = all overhead = 0 }
at 1min { set = "host.frames=7" }
E
refused 'bad.job:5: at soon: ' <<E
$esx
vm a { gen = all overhead = 0 }
at soon { set = "tax.rate=0" }
E
refused 'bad.job:5: at 2000000h is beyond the 146 years that a run can last' <<E
$esx
vm a { gen = all overhead = 0 }
at 2000000h { set = "tax.rate=0" }
E
refused 'bad.job:5: at 1min says nothing' <<E
$esx
vm a { gen = all overhead = 0 }
at 1min { }
E
refused 'bad.job:5: at 1.5ms: a time here is a whole number of a unit' <<E
$esx
vm a { gen = all overhead = 0 }
at 1.5ms { set = "tax.rate=0" }
E
refused 'bad.job:5: reclaim.high is given, but nothing heeds it with host.thresholds=esx-later' <<E
$esx
host { thresholds = esx-later }
reclaim { high = 10% }
vm a { gen = all overhead = 0 }
E
# What comes earlier is checked first, wherever it stands; and what comes later against it.
refused 'bad.job:6: at 1min: reclaim.soft, 4 %, is below reclaim.hard, 10 %' <<E
$esx
vm a { gen = all overhead = 0 }
at 2min { set = "tax.rate=2" }
at 1min { set = "reclaim.hard=10%" }
E
refused 'bad.job:6: at 1min: sample.slow, 90 %, is above sample.fast, 75 %' <<E
$esx
sample { sampler = esx }
vm a { gen = all overhead = 0 }
at 1min { set = "sample.slow=90%" }
E
refused 'bad.job:6: at 2min: vm b does not fit: its min of 30 MB and overhead of 1 MB need 1 MB more' <<E
$esx
vm a { gen = all memory = 40mb overhead = 1mb }
vm b { gen = all memory = 40mb overhead = 1mb }
at 2min { set = {"vm.a.min=33mb", "vm.b.min=30mb"} }
E
refused 'vm.a.shares is given, but nothing heeds it with host.thresholds=reserve' <<E
vm a { gen = all shares = 5 }
E
refused 'bad.job:4: at 1s: tax.rate is given, but nothing heeds it' <<E
vm a { gen = all }
at 1s { set = "tax.rate=50%" }
E

# Shares 3 : 1 of two busy VMs of 10000 pages. 16384 frames less the aim, 983 and a
# tenth of it, are 15303. Three quarters would be more than a's size: b has the rest.
printf '%s%s\n' "$gens" "$esx"'
swap { read_time = 10us }
reclaim { rate = 0 }
vm a { gen = all overhead = 0 shares = 3000 }
vm b { gen = all overhead = 0 shares = 1000 }' >shares.job
"$ballast" run shares.job -o shares >/dev/null || fail "shares.job fails"
grep -qx '0.000000000,b,target,"10000 to 5303 pages, of 0 held: start"' shares/events.csv ||
	fail "b's target is not 5303 pages: $(grep ',b,target' shares/events.csv | head -n 1)"
"$ballast" run shares.job -o again >/dev/null
cmp -s shares/events.csv again/events.csv && cmp -s shares/series.csv again/series.csv ||
	fail "two runs of one job differ"

# A VM that touches everything, nothing, or now this and now that, against one that
# has been promised 20 MB: once it has them it keeps them.
for liar in 'uniform' 'phases phase_refs = 20k set_pages = 8k' 'sequential'; do
	printf 'gen few { law = uniform refs = 100k pages = 6k }
gen lies { law = %s refs = 300k pages = 14k }
%s
swap { read_time = 100us }
cost { ref = 4us }
run { sample = 2ms }
sample { sampler = esx period = 100ms }
tax { period = 50ms }
vm honest { gen = few overhead = 0 min = 20mb }
vm liar { gen = lies overhead = 0 shares = 100k }
' "$liar" "$esx" >liar.job
	"$ballast" run liar.job -o liar >/dev/null || fail "liar.job fails: $liar"
	awk -F, -v liar="$liar" '
	NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
	$col["vm.honest.held"] >= 5120 { had = 1; next }
	had { print liar ": the honest one is below its min: " $0; bad = 1; exit 1 }
	END { if (!had && !bad) { print liar ": the honest one never had its min"; exit 1 } }
	' liar/series.csv || bad=1
	grep -q ',liar,target' liar/events.csv || fail "$liar: nobody divides"
done

# A VM comes, terms change, a VM goes.
printf '%s%s\n' "$gens" "$esx"'
swap { read_time = 100us }
cost { ref = 4us }
run { sample = 100ms }
vm a { gen = few overhead = 1mb }
vm b { gen = few overhead = 1mb min = 20mb }
at 1s { add = b set = {"vm.a.shares=7", "tax.rate=25%"} }
at 1500ms { remove = b }
at 2h { set = "tax.rate=0" }' >timeline.job
"$ballast" run timeline.job -o timeline >/dev/null || fail "timeline.job fails"
for event in '1.000000000,b,added,at 1s' '1.000000000,a,set,vm.a.shares=7' \
	'1.000000000,,set,tax.rate=25%' '1.500000000,b,removed,at 1500ms'; do
	grep -qxF "$event" timeline/events.csv || fail "no '$event' in events.csv"
done
grep -q 'not reached,at 2h: the run ended before' timeline/events.csv || fail "2 h are not told of"
grep -q '"tax.rate": 0.75\|"rate": 0.75' timeline/run.json || fail "run.json is not the job as read"
awk -F, '
NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; n = NF; next }
NF != n { print "row " NR " has " NF " columns of " n; exit 1 }
$1 < 1 && $col["vm.b.held"] != "" { print "b has values before it is there: " $0; exit 1 }
$1 > 1.45 && $1 < 1.5 && $col["vm.b.held"] < 5120 { print "b is below its min"; exit 1 }
$1 > 1.5 && $col["vm.b.held"] != 0 { print "b holds memory after it went: " $0; exit 1 }
$1 > 1.5 { after = 1 }
END { if (!after) { print "no row after b went"; exit 1 } }' timeline/series.csv || bad=1
# Sampling that costs more than its period leaves the VM its turns.
cat >costly.job <<'EOF'
host { memory = 20mb thresholds = esx }
gen g { refs = 3000 pages = 2048 }
sample { sampler = esx period = 100us pages = 2048 }
vm a { gen = g overhead = 0 }
EOF
timeout 60 "$ballast" run costly.job >/dev/null || fail "costly.job: exit code $?"

grep -q '"state": "removed"' timeline/summary.json || fail "b is not removed in summary.json"
exit $bad
