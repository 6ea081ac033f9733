#!/bin/sh
# A job that is wrong is one line on standard error that names the place and the
# mend, exit code 2, and no result folder.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

# refused PATTERN ARGUMENT...: runs ballast, wants one line that matches, and no folder.
refused() {
	pattern=$1
	shift
	"$ballast" run "$@" -o out >stdout 2>stderr </dev/null
	rc=$?
	[ $rc = 2 ] || { echo "run $*: exit code $rc, not 2" && bad=1; }
	[ "$(wc -l <stderr)" = 1 ] || { echo "run $*: not one line:" && cat stderr && bad=1; }
	grep -qF -- "$pattern" stderr || { echo "run $*: no '$pattern' in:" && cat stderr && bad=1; }
	[ -s stdout ] && { echo "run $*: output before the error" && bad=1; }
	[ -e out ] && { echo "run $*: a result folder stays" && bad=1; }
}

# job TEXT: writes bad.job.
job() {
	printf '%b' "$1" >bad.job
}

gen='gen g { law = uniform refs = 1000 pages = 100 }\nvm a { gen = g }\n'
job "$gen"
cp bad.job good.job
"$ballast" run good.job -o good >/dev/null || { echo "the good job fails" && bad=1; }

refused 'cannot read none.job: No such file' none.job
refused '. is a folder' .
refused '/dev/zero is larger than 1 MiB' /dev/zero
printf 'host {\n\0 }' >binary.job
refused 'binary.job:2: a NUL byte; is this a job file?' binary.job
refused 'see' # no job named
refused "-s: host.memory: '256xb' has no unit of size known here" good.job -s host.memory=256xb
refused "did you mean 'memory'?" good.job -s host.memroy=1mb
refused '-s: tax.alloc=mrc divides by miss curves, and sample.sampler=esx draws none: give sample.sampler=mrc' \
	good.job -s host.thresholds=esx -s tax.alloc=mrc -s sample.sampler=esx
refused 'sample.slow, 90 %, is above sample.fast, 75 %' good.job -s sample.sampler=esx -s sample.slow=90%
refused 'sample.period of 30s is to be 1 to 1000 times sample.slice, 7s' good.job -s sample.truth=on -s sample.slice=7s
refused "there is no sampler 'esz'; did you mean 'esx'?" good.job -s sample.sampler=esz
refused "did you mean 'host'?" good.job -s hots.memory=1mb
refused 'it has: a' good.job -s vm.b.memory=1mb
refused 'too large' good.job -s host.memory=99999999999999999999tb
refused 'out of range; write 0 to 4294967294' good.job -s host.frames=-1
refused 'out of range; write 0 to 4294967294' good.job -s host.frames=4294967295
refused "did you mean 'clock'?" good.job -s swap.victim=clok
refused '-s: host.memory is less than a page' good.job -s host.memory=0
refused 'vm.a.memory' good.job -s vm.a.memory=0
refused 'vm.a.memory' good.job -s vm.a.memory=4095
refused 'no section gen h' good.job -s vm.a.gen=h

job "# first\n\nhost {\n\tmemory = 256xb\n}\n$gen"
refused "bad.job:4: host.memory: '256xb'" bad.job
job "${gen}host { memroy = 1mb }"
refused "bad.job:3: host has no key 'memroy'; did you mean 'memory'?" bad.job
job "${gen}vm a { memory = 99999999999999tb }"
refused 'bad.job:3: vm.a.memory: ' bad.job
job "${gen}vm a {"
refused "bad.job:3: this '{' is not closed" bad.job
job "${gen}vm a { trace = \"x }"
refused 'bad.job:3: this string is not closed' bad.job
job "${gen}include(\"inner.job\")"
printf '\nvms a { }' >inner.job
refused "inner.job:2: there is no section 'vms'; did you mean 'vm'?" bad.job
job 'include("bad.job")'
refused 'does a file include itself?' bad.job
job '# nothing'
refused 'the job has no vm' bad.job
exit $bad
