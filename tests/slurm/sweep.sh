#!/bin/sh
# ballast sweep --slurm on a real Slurm of one node, started here and stopped again:
# failures and killed tasks are named, rows are those of a sweep without Slurm, a
# killed leader's work goes on, a stopped one cancels.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=$PWD/${BUILD:-build}/ballast
. tests/slurm/cluster.sh
[ "$(id -u)" = 0 ] || {
	echo "skipped: slurmd needs root"
	exit 77
}
for program in munged slurmctld slurmd sbatch sqlite3; do
	command -v $program >/dev/null 2>&1 || {
		echo "skipped: $program is not installed: ./packages.sh slurm test"
		exit 77
	}
done
work=$(mktemp -d)
leaders=
cleanup() {
	# shellcheck disable=SC2086 # a list
	[ -z "$leaders" ] || kill -9 $leaders 2>/dev/null
	cluster_stop
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
bad=0

fail() {
	echo "$*"
	bad=1
}

rows() {
	sqlite3 -readonly "$1/results.sqlite" 'SELECT * FROM runs ORDER BY run'
}

# says CODE WORDS: the last command's exit code and its one line.
says() {
	[ "$rc" = "$1" ] || fail "exit code $rc, not $1: $(cat err)"
	shift
	grep -q -- "$*" err || fail "it does not say '$*': $(cat err)"
}

# The process of an array's task, if it runs: the first of those that have its
# number in their environment; its workers come later.
task_pid() {
	grep -lzsx "SLURM_ARRAY_TASK_ID=$1" /proc/[0-9]*/environ | while read -r path; do
		pid=${path#/proc/}
		pid=${pid%/environ}
		grep -qzs -- '--task' "/proc/$pid/cmdline" && echo "$pid"
	done | sort -n | head -n 1
}

cluster_start "$work/cluster" || {
	echo "Slurm did not start:"
	tail -n 5 "$work"/cluster/*.out "$work"/cluster/*.log
	exit 1
}
cd "$work" || exit 1
cat >a.job <<'END'
gen g { law = uniform refs = 3M pages = 3000 }
vm a { gen = g }
host { memory = 8mb }
END

# 40 tasks: the first cannot swap, one is killed by hand. The result names both.
"$ballast" sweep a.job --vary swap.size=4kb,8mb:46mb:1mb --slurm --array-size 40 --partition spare \
	--time 5 -o forty >out 2>err &
leader=$!
leaders=$leader
seen=
pid=
while [ -z "$pid" ] && kill -0 $leader 2>/dev/null; do
	pid=$(task_pid 17)
	[ -n "$pid$seen" ] || seen=$(squeue -h -o '%P %l' | sort -u)
done
kill -9 "$pid" || fail "task 17 was not there to be killed"
wait $leader
rc=$?
leaders=
says 1 '2 of 40 runs failed'
says 1 'run 0 (swap.size=4kb seed 1) failed: vm a: '
says 1 'run 17 (swap.size=24mb seed 1) failed: task 17 of job array ballast-[0-9a-f]* ended without a result (Slurm: FAILED)'
[ "$seen" = "spare 5:00" ] || fail "partition and time: $seen"
grep -q '^38 runs done, 2 failed' out || fail "$(tail -n 1 out)"
[ -e forty/slurm ] && fail "left behind: $(find forty/slurm)"
"$ballast" sweep --retry --slurm -o forty >out 2>err
rc=$?
says 1 '1 of 40 runs failed'
"$ballast" sweep a.job --vary swap.size=4kb,8mb:46mb:1mb -o local >out 2>err
rows forty >a
rows local >b
cmp a b || fail "the rows of Slurm and of this machine differ"

# A killed leader: what its array does is taken by the next, which follows it. A sweep
# without Slurm stays away meanwhile.
sed 's/3M/8M/' a.job >b.job
vary="--vary swap.victim=lru,clock --seeds 6"
"$ballast" sweep b.job $vary --slurm --array-size 4 -o killed >out 2>err &
leader=$!
leaders=$leader
cluster_wait sh -c 'ls killed/slurm/*/*.jsonl' || fail "no task wrote anything: $(cat err)"
kill -9 $leader
wait $leader 2>/dev/null
leaders=
"$ballast" sweep --resume -o killed >out 2>err
rc=$?
says 1 'Slurm works on it (ballast-'
"$ballast" sweep --resume --slurm -o killed >out 2>err || fail "resumed: $(cat err)"
[ "$(sqlite3 killed/results.sqlite 'SELECT count(*) FROM runs')" = 12 ] || fail "$(rows killed)"
"$ballast" sweep b.job $vary -o undisturbed >out 2>err || fail "$(cat err)"
rows killed >a
rows undisturbed >b
cmp a b || fail "the rows differ after a killed leader"

# A stopped one cancels, and the rest can be done here.
"$ballast" sweep b.job $vary --slurm --array-size 12 --jobs 2 -o stopped >out 2>err &
leader=$!
leaders=$leader
cluster_wait sh -c 'ls stopped/slurm/*/*.jsonl' || fail "no task wrote anything: $(cat err)"
kill -INT $leader
kill -TERM $leader
wait $leader
rc=$?
leaders=
[ $rc = 130 ] || [ $rc = 143 ] || fail "a stopped leader: exit code $rc"
grep -q 'go on with' err || fail "a stopped leader says: $(cat err)"
cluster_wait sh -c '[ -z "$(squeue -h)" ]' || fail "tasks of a stopped leader run on: $(squeue)"
"$ballast" sweep --resume -o stopped >out 2>err || fail "$(cat err)"
rows stopped | cmp - b || fail "the rows differ after a cancelled array"

# What Slurm refuses, and no Slurm at all.
"$ballast" sweep a.job --vary swap.victim=lru,clock --slurm --partition none -o refused >out 2>err
rc=$?
says 1 'sbatch failed: .*nvalid partition'
mkdir empty
PATH=$work/empty "$ballast" sweep a.job --vary swap.victim=lru,clock --slurm -o missing >out 2>err
rc=$?
says 1 'there is no sbatch: --slurm needs'
exit $bad
