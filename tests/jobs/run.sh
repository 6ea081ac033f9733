#!/bin/sh
# ballast run end to end: the same job gives the same bytes, results are whole,
# names hold, contents are right, and what goes wrong is one line that leaves
# nothing behind. What is wrong in a job file itself: badjobs.sh.
. "$(dirname "$0")/../lib.sh"
root=$PWD
cd "$work" || exit 1

# ok ARGUMENT...: runs, exits 0, says nothing on standard error.
ok() {
	"$ballast" run "$@" >stdout 2>stderr </dev/null || fail "run $*: exit code $?: $(cat stderr)"
	[ -s stderr ] && fail "run $*: on standard error: $(cat stderr)"
}

# fails CODE PATTERN ARGUMENT...: that exit code, one line that matches, no output, no folder.
fails() {
	code=$1 pattern=$2
	shift 2
	"$ballast" run "$@" >stdout 2>stderr </dev/null
	rc=$?
	[ $rc = "$code" ] || fail "run $*: exit code $rc, not $code: $(cat stderr)"
	[ "$(wc -l <stderr)" = 1 ] || fail "run $*: not one line: $(cat stderr)"
	grep -q -- "$pattern" stderr || fail "run $*: no '$pattern' in: $(cat stderr)"
	[ -s stdout ] && fail "run $*: output although it failed"
	[ -e out ] && fail "run $*: left $(ls -A out) in out" && rm -rf out
}

# value SECTION NAME: of the JSON in stdout; SECTION is host or a VM's name.
value() {
	awk -v section="\"$1\":" -v name="\"$2\":" '
		$2 == "{" { in_section = $1 == section }
		in_section && $1 == name { gsub(/[",]/, "", $2); print $2 }' stdout
}

cat >mixed.job <<'END'
host { frames = 300 backing = ram thresholds = reserve audit = 100ms seed = 7 }
run { sample = 10ms oracle = on }
gen hot { law = zipf refs = 30000 pages = 200 seed = 1 }
gen wide { law = uniform refs = 20000 pages = 300 write_ratio = 50% seed = 2 }
vm first { gen = hot }
vm second { gen = wide }
vm third { trace = "scan.bt" memory = 2mb }
END
"$ballast" trace gen phases -s refs=20000 -s pages=100 -s set_pages=20 -s phase_refs=1000 \
	-s seed=3 -o scan.bt || bad=1

# Several VMs of different sources: whole results, the same each time.
for victim in random clock lru fifo wsclock s3fifo; do
	ok mixed.job -s swap.victim=$victim -o a --json
	cp stdout a.json
	ok mixed.job -s swap.victim=$victim -o b --json
	diff -r a b || fail "$victim: two runs differ"
	grep -v refs_per_cpu_second a.json >a.same
	grep -v refs_per_cpu_second stdout | cmp -s - a.same || fail "$victim: two outputs differ"
	[ "$(ls -A a | tr '\n' ' ')" = "events.csv run.json series.csv summary.json " ] ||
		fail "$victim: in the result folder: $(ls -A a)"
	[ "$(value first refs)$(value second refs)$(value third refs)" = 300002000020000 ] ||
		fail "$victim: refs $(value first refs) $(value second refs) $(value third refs)"
	[ "$(value third pages)" = 512 ] || fail "$victim: third has $(value third pages) pages"
	for vm in first second third; do
		[ "$(value $vm state)" = ended ] || fail "$victim: $vm $(value $vm state)"
		[ "$(value $vm faults)" = $(($(value $vm zero_fills) + $(value $vm swap_ins))) ] ||
			fail "$victim: $vm: faults are not zero_fills and swap_ins"
	done
	[ "$(value second swap_ins)" -gt 1000 ] || fail "$victim: no pressure"
	rm -rf a b
done
ok mixed.job -s host.seed=8 -s swap.victim=random --json
cp stdout a.json
ok mixed.job -s host.seed=9 -s swap.victim=random --json
cmp -s a.json stdout && fail "another seed gives the same"

# series.csv: a head and rows of as many fields, at every 10 ms; events.csv: three ends.
ok mixed.job -o a
awk -F, '
	NR == 1 { fields = NF; head = $1; next }
	NF != fields || odd { print "row: " $0; exit 1 }
	{ odd = $1 !~ /^[0-9]+\.[0-9][0-9]0000000$/ } # the last one is where the run ended
	END { exit head != "time_s" || NR < 3 || fields < 10 }' a/series.csv || fail "series.csv is wrong"
[ "$(grep -c ',ended,' a/events.csv)" = 3 ] || fail "events.csv: $(cat a/events.csv)"
grep -q '"seed": 7' a/run.json || fail "run.json has no seed"
grep -q '"version": "[0-9.]*"' a/run.json || fail "run.json has no version"
grep -q '"xxh3": "[0-9a-f]\{16\}"' a/run.json || fail "run.json has no hash of the trace"

# The oracle reads every page, and changes no result by it.
ok mixed.job -s run.oracle=off -o b
cmp a/summary.json b/summary.json || fail "the oracle shows in summary.json"
ok mixed.job -o a # into a folder that is there
rm -rf a b

# The names that others build on.
job=$root/experiments/jobs/replay.job
ok "$job" -s vm.a.trace=scan.bt -s host.frames=40 -s host.thresholds=none -s swap.victim=lru --json
for name in refs faults zero_fills swap_ins swap_outs; do
	value a $name | grep -qx '[0-9][0-9]*' || fail "no vm.a.$name: $(value a $name)"
done
value host metadata_bytes | grep -qx '[1-9][0-9]*' || fail "no host.metadata_bytes"
value host refs_per_cpu_second | grep -q '^[1-9]' || fail "no host.refs_per_cpu_second"
ok "$job" -s vm.a.trace=scan.bt -s host.memory=160kb --json
[ "$(value host frames)" = 40 ] || fail "160kb are $(value host frames) frames"
"$ballast" run "$job" -s vm.a.trace=- -s vm.a.memory=1mb -s host.frames=40 -o a --json \
	<scan.bt >stdout 2>stderr || fail "a trace from a pipe: $(cat stderr)"
[ "$(value a refs)" = 20000 ] || fail "a trace from a pipe: $(value a refs) refs"
mkfifo pipe
cat scan.bt >pipe &
ok "$job" -s vm.a.trace=pipe -s vm.a.memory=1mb -s host.frames=40 -o a --json
[ "$(value a refs)" = 20000 ] || fail "a trace from a named pipe: $(value a refs) refs"
rm -rf a

# Traces that are not there, cut short, hostile.
fails 2 'nosuch.bt: cannot open: No such file' "$job" -s vm.a.trace=nosuch.bt -o out
fails 2 'vm a has no trace' "$job" -o out
head -c 1000 scan.bt >cut.bt
fails 2 'cut.bt: at byte' "$job" -s vm.a.trace=cut.bt -o out
fails 2 'cut.bt: at byte' "$job" -s vm.a.trace=cut.bt -s vm.a.memory=1mb -o out
fails 2 'vm a: scan.bt: record [0-9]* names page' "$job" -s vm.a.trace=scan.bt \
	-s vm.a.memory=40kb -o out
# Of a trace of several VMs one is meant, and it is there.
printf 'page,op,vm\n1,r,0\n5,w,1\n6,w,1\n' >two.csv
"$ballast" trace import two.csv -o two.bt
"$ballast" trace import two.csv --fixed -o fixed.bt
"$ballast" trace import two.csv --vm 1 -o one.bt
for two in two.bt fixed.bt; do
	ok "$job" -s vm.a.trace=$two --json
	[ "$(value a refs)" = 1 ] || fail "$two: VM 0: $(value a refs) refs"
	ok "$job" -s vm.a.trace=$two -s vm.a.trace_vm=1 --json
	[ "$(value a refs)" = 2 ] || fail "$two: VM 1: $(value a refs) refs"
	fails 2 "^ballast: -s: vm.a.trace_vm = 2: $two has 2 VMs: give 0 to 1" "$job" -s vm.a.trace=$two \
		-s vm.a.trace_vm=2 -o out
done
fails 2 '^ballast: -s: vm.a.trace_vm = 1: one.bt has 1 VM: give 0' "$job" -s vm.a.trace=one.bt \
	-s vm.a.trace_vm=1 -o out
ok "$job" -s vm.a.trace=two.csv -s vm.a.trace_vm=1 --json
[ "$(value a refs)" = 2 ] || fail "two.csv: VM 1: $(value a refs) refs"
for memory in '' '-s vm.a.memory=1mb'; do
	# shellcheck disable=SC2086 # none or two words
	fails 2 'two.csv: there is no VM 2: it has 2, .*trace_vm' "$job" -s vm.a.trace=two.csv \
		-s vm.a.trace_vm=2 $memory -o out
	# shellcheck disable=SC2086
	fails 2 'vm a: two.csv: record 2 is of VM 1: say which .* vm.a.trace_vm' "$job" \
		-s vm.a.trace=two.csv $memory -o out
done

# A few far pages are no reason for tables of all between.
printf 'page,op\n0,r\n1073741823,r\n' >far.csv
"$ballast" trace import far.csv -o far.bt
for far in far.csv far.bt; do
	fails 2 "vm a: $far touches 2 pages, up to page 1073741823: import it with --renumber, or \
give vm.a.memory=4294967296kb" "$job" -s vm.a.trace=$far -o out
done
"$ballast" trace import far.csv --renumber -o dense.bt
ok "$job" -s vm.a.trace=dense.bt --json
[ "$(value a pages)" = 2 ] || fail "dense.bt: $(value a pages) pages"
fails 2 'vm a reads a pipe: give vm.a.memory' "$job" -s vm.a.trace=pipe -o out
fails 2 'vm a reads standard input: give vm.a.memory' "$job" -s vm.a.trace=- -o out
fails 2 'a trace and a gen' mixed.job -s vm.first.trace=scan.bt -o out
fails 2 'host.frames (-s) and host.memory (-s) differ' "$job" -s vm.a.trace=scan.bt \
	-s host.frames=40 -s host.memory=2mb -o out
fails 2 'host.frames is less than a page' "$job" -s vm.a.trace=scan.bt -s host.frames=0 -o out
fails 2 'needs host.backing=ram' mixed.job -s host.backing=ids -o out

# A run that fails says so with its results in place: the VM without a swap slot.
"$ballast" run mixed.job -s swap.size=80kb -s run.oracle=off -o out >stdout 2>stderr
rc=$?
[ $rc = 1 ] || fail "a full swap area: exit code $rc"
[ "$(wc -l <stderr)" = 1 ] && grep -q 'raise swap.size' stderr || fail "a full swap area: $(cat stderr)"
grep -q '"error": "no frame: the swap area' out/summary.json || fail "summary.json has no error"
[ "$(ls -A out | wc -l)" = 4 ] || fail "a full swap area: in the folder: $(ls -A out)"
rm -rf out
fails 1 'no swap file there: No such file or directory; set swap.dir' mixed.job \
	-s swap.dir=/nonexistent -o out

# Places that cannot be written.
echo mine >file
fails 2 'is there and is no folder' mixed.job -o file
[ "$(cat file)" = mine ] || fail "the file was changed"
fails 2 'none/out/x: there is no folder to make it in: make it, or' mixed.job -o none/out/x
mkdir locked
chmod 555 locked
if ! touch locked/x 2>stderr; then
	fails 1 'locked: cannot write there' mixed.job -o locked
	fails 1 'cannot make the folder: Permission denied' mixed.job -o locked/out
fi
"$ballast" run mixed.job >/dev/full 2>stderr
rc=$?
[ $rc = 1 ] && [ "$(wc -l <stderr)" = 1 ] || fail "a full standard output: $rc $(cat stderr)"

# A file at its limit on the way: all of the results or none.
(
	ulimit -f 1
	exec "$ballast" run mixed.job -s host.backing=ids -s run.oracle=off -s run.sample=1ms -o out \
		>stdout 2>stderr
)
rc=$?
[ $rc = 1 ] || fail "a file at its limit: exit code $rc"
[ "$(wc -l <stderr)" = 1 ] || fail "a file at its limit: $(cat stderr)"
[ -e out ] && fail "a file at its limit: left $(ls -A out)" && rm -rf out

# A disk that takes no more: the VMs that it hits fail, and whoever is left ends.
(
	ulimit -f 1000 # blocks of 512 bytes: 125 pages
	exec "$ballast" run mixed.job -s run.oracle=off -o out --json >stdout 2>stderr
)
rc=$?
[ $rc = 1 ] || fail "a full disk: exit code $rc"
[ "$(wc -l <stderr)" = 1 ] && grep -q "swap slot [0-9]* cannot be written: File too large" stderr ||
	fail "a full disk: $(cat stderr)"
grep -q '"state": "failed"' stdout && grep -q '"state": "ended"' stdout ||
	fail "a full disk: $(cat stdout)"
grep -q "slot retired" out/events.csv || fail "a full disk: $(cat out/events.csv)"
rm -rf out

# Rows without end are told, not gathered until memory is full.
case ${BUILD:-build} in
*san*) ;; # slow
*) fails 2 'raise run.sample' mixed.job -s run.sample=1ns -s swap.read_time=1s -o out
;;
esac

# A folder with other things in it is refused, but for --force; a result is written over.
mkdir full
echo mine >full/thesis.tex
fails 2 'full: is there and holds other things than results (thesis.tex)' mixed.job -o full
[ "$(ls -A full)" = thesis.tex ] || fail "refused, but written: $(ls -A full)"
ok mixed.job -o full --force
[ -s full/run.json ] && [ "$(cat full/thesis.tex)" = mine ] || fail "--force: $(ls -A full)"
ok mixed.job -o full
grep -q '"build": "[0-9a-z-]*"' full/run.json || fail "run.json does not say what the program was built from"
rm -r full

# A trace beside its job is found from any folder, one after -s from here.
mkdir -p far/traces
"$ballast" trace gen uniform -s refs=1000 -s pages=10 -o far/traces/t.bt || fail "trace gen"
printf 'vm a { trace = traces/t.bt }\n' >far/a.job
ok far/a.job
(cd far/traces && "$ballast" run ../a.job >/dev/null) || fail "from another folder: $?"
fails 2 'traces/t.bt' far/a.job -s vm.a.trace=traces/t.bt
ok far/a.job -s vm.a.trace=far/traces/t.bt

# Sharing without a word on contents is told, once, on standard error.
"$ballast" run far/a.job -s share.scan=random >stdout 2>stderr || fail "sharing: $(cat stderr)"
[ "$(wc -l <stderr)" = 1 ] && grep -q '^ballast: sharing is on (share.scan), but no trace says' stderr || fail "no warning: $(cat stderr)"
"$ballast" trace gen image -s refs=1000 -s pages=500 -o far/traces/i.bt || fail "trace gen image"
ok far/a.job -s share.scan=random -s vm.a.trace=far/traces/i.bt
rm -r far

# What a job says must hold: by hand, of a guest that touches page after page, one a microsecond.
cat >expect.job <<'END'
gen g { law = sequential refs = 1000 pages = 100 write_ratio = 0 }
vm a { gen = g }
host { memory = 1mb }
cost { ref = 1us fault = 0 zero = 0 }
expect all { of = "vm.a.refs" value = 1000 }
expect touched { of = "vm.a.faults" value = 99 within = 1 source = "by hand" }
expect few { of = "vm.a.faults" at = 50us relation = at-most value = 60 }
expect many { of = "vm.a.faults" at = 50us relation = at-least value = 40 }
END
ok expect.job -s host.quantum=1us
grep -qx 'expectations: 4 of 4 hold' stdout || fail "expect: $(cat stdout)"
"$ballast" run expect.job -s expect.all.value=999 -s expect.all.cause=why --json >stdout 2>stderr
rc=$?
[ $rc = 3 ] && [ "$(grep -c '"ok": true' stdout)" = 3 ] && grep -q '"cause": "why"' stdout || fail "a miss: exit code $rc: $(cat stdout stderr)"
"$ballast" run expect.job -s expect.few.at=1h -o missed >stdout 2>stderr
rc=$?
[ $rc = 3 ] && grep -q 'does not hold: vm.a.faults, at 3600 s: measured nothing, expected <= 60' stdout || fail "too late: exit code $rc: $(cat stdout)"
[ -s missed/summary.json ] || fail "a miss leaves no results"
rm -r missed
fails 2 'expect.all.of = "vm.b.refs": there is no such vm in the job' expect.job -s expect.all.of=vm.b.refs -o out
fails 2 'expect.all.of = "vm.a.ref": there is no such statistic' expect.job -s expect.all.of=vm.a.ref -o out
fails 2 'expect.all.of = "vm.a": give a statistic' expect.job -s expect.all.of=vm.a

# A signal in the middle: no folder stays, and what was there does. (ThreadSanitizer
# puts a signal off until the next system call, of which a replay makes none.)
signals="INT:130 TERM:143"
case ${BUILD:-build} in *thread*) signals= ;; esac
for signal in $signals; do
	for dir in out kept; do
		mkdir kept
		echo old >kept/summary.json
		# env: a shell's background job would ignore SIGINT
		env --default-signal=INT "$ballast" run mixed.job -s host.backing=ids -s run.oracle=off \
			-s gen.hot.refs=100G -o $dir >stdout 2>stderr &
		pid=$!
		tries=0
		until [ -d $dir ] || [ $tries -gt 200 ]; do
			sleep 0.05
			tries=$((tries + 1))
		done
		sleep 0.1
		kill -"${signal%:*}" $pid
		wait $pid
		rc=$?
		[ $rc = "${signal#*:}" ] || fail "SIG${signal%:*}: exit code $rc: $(cat stderr)"
		[ -e out ] && fail "SIG${signal%:*}: left out: $(ls -A out)" && rm -rf out
		[ "$(ls -A kept)" = summary.json ] || fail "SIG${signal%:*}: in kept: $(ls -A kept)"
		rm -rf kept
	done
done
exit $bad
