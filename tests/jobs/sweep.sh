#!/bin/sh
# ballast sweep: a killed and resumed sweep keeps the rows of an undisturbed one,
# each point is what `ballast run` gives, failures are named, and what stands in
# the way is told in a line, with the finished runs kept.
#
#   RUNS=200 KILLS=10 tests/jobs/sweep.sh    as many runs and kills as one likes
. "$(dirname "$0")/../lib.sh"
not_in '*thread*' "processes of one thread each: nothing for ThreadSanitizer to find"
cd "$work" || exit 1

# rows DIR: every row but the times, as text.
rows() {
	sqlite3 -readonly "$1/results.sqlite" 'SELECT * FROM runs ORDER BY run; SELECT * FROM meta'
}

# says CODE WORDS: the last command's exit code and its one line.
says() {
	[ "$rc" = "$1" ] || fail "exit code $rc, not $1: $(cat err)"
	shift
	grep -q -- "$*" err || fail "it does not say '$*': $(cat err)"
}

cat >a.job <<'END'
gen g { law = zipf refs = 40k pages = 2000 }
vm a { gen = g }
host { thresholds = none }
END

# What the job expects is judged at every point: here the half of them misses.
cat a.job - >expecting.job <<'END'
expect few { of = "vm.a.faults" relation = at-most value = 2000 }
END
"$ballast" sweep expecting.job --vary host.memory=1mb,64mb --metric host.expect_missed -o expecting \
	>out 2>err
rc=$?
[ $rc = 3 ] || fail "expectations missed: exit code $rc, not 3: $(cat err)"
grep -q '^of 1, an expectation' out || fail "no word of the run that missed: $(cat out)"
got=$(sqlite3 -readonly expecting/results.sqlite \
	"SELECT group_concat(json_extract(summary, '$.host.expect_missed')) FROM runs")
[ "$got" = 1,0 ] || fail "missed by run: $got, not 1,0"

# Killed again and again, each time when some more runs are done, and resumed without
# being told what it was.
runs=${RUNS:-48} kills=${KILLS:-4}
seeds=$((runs / 4))
total=$((seeds * 4))
sweep="--vary swap.victim=lru,clock --vary host.memory=2mb,4mb --seeds $seeds"
"$ballast" sweep a.job $sweep -o whole >out 2>err || fail "undisturbed: $(cat err)"
count() {
	sqlite3 -readonly killed/results.sqlite 'SELECT count(*) FROM runs' 2>/dev/null || echo 0
}
again="sweep a.job $sweep -o killed"
kill=0 midway=0
while [ $kill -lt "$kills" ]; do
	kill=$((kill + 1))
	"$ballast" $again >/dev/null 2>err &
	pid=$!
	until [ "$(count)" -ge $((kill * total / (kills + 2))) ] || ! kill -0 $pid 2>/dev/null; do
		sleep 0.01
	done
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	[ "$(count)" -lt $total ] && midway=$((midway + 1))
	again="sweep --resume -o killed"
done
[ $midway -gt 0 ] || fail "all $kills kills came too late to matter"
"$ballast" $again >out2 2>err || fail "resumed: $(cat err)"
rows whole >a
rows killed >b
cmp a b || fail "the rows of a killed and resumed sweep differ"
[ "$(wc -l <a)" = $((total + 2)) ] || fail "$(wc -l <a) rows"
sed 's/killed/whole/g' out2 | cmp - out || fail "what is told differs"
cmp whole/points.csv killed/points.csv || fail "points.csv differs"
[ -z "$(find killed -name '*-wal' -o -name .lock)" ] || fail "left behind: $(ls -A killed)"

# More seeds are added: what is done stays, and the rows are those of a sweep that
# had them from the beginning. Nothing else of it may change, and no seed be taken away.
few="--vary swap.victim=lru,clock --vary host.memory=2mb,4mb"
"$ballast" sweep a.job $few --seeds 2 -o grown >out 2>err || fail "$(cat err)"
sqlite3 grown/results.sqlite "UPDATE timing SET node = 'first'"
"$ballast" sweep --resume --seeds "$seeds" -o grown >out 2>err || fail "more seeds: $(cat err)"
rows grown | cmp - a || fail "the rows of a sweep that has grown differ"
cmp whole/points.csv grown/points.csv || fail "points.csv of a sweep that has grown differs"
[ "$(sqlite3 grown/results.sqlite "SELECT group_concat(point || ':' || seed) FROM runs JOIN timing \
	USING (run) WHERE node = 'first'")" = 0:1,0:2,1:1,1:2,2:1,2:2,3:1,3:2 ] || fail "not the first runs are kept"
"$ballast" sweep a.job $few --resume -o grown >out 2>err || fail "seeds as they are: $(cat err)"
grep -q "^$total runs done" out || fail "seeds as they are: $(cat out)"
"$ballast" sweep a.job $few --resume --seeds $((seeds - 1)) -o grown >out 2>err
rc=$?
says 2 "has $seeds seeds, and --seeds $((seeds - 1)) would leave out runs: give as many or more"
"$ballast" sweep a.job $few -s host.seed=7 --resume --seeds 99 -o grown >out 2>err
rc=$?
says 2 'host.seed is the default there and 7 here'
mkdir grown/slurm
"$ballast" sweep --resume --seeds 99 -o grown >out 2>err
rc=$?
says 2 'has a job array of Slurm: take what that did'
rows grown | cmp - a || fail "refused, but changed"
for option in --vary=host.memory=1mb --set=host.memory=1mb --pin=host.seed --dry-run; do
	"$ballast" sweep --resume "$option" -o grown >out 2>err
	rc=$?
	name=${option%%=*}
	says 2 "$name is of a job: give that, too"
done

# A point's mean is that of the runs that `ballast run` makes of it.
sum=0
for seed in $(seq "$seeds"); do
	faults=$("$ballast" run a.job -s swap.victim=clock -s host.memory=4mb -s host.seed="$seed" \
		-s gen.g.seed="$seed" --json | sed -n 's/.*"faults": \([0-9]*\),/\1/p')
	sum=$((sum + faults))
done
awk -F, -v sum="$sum" -v n="$seeds" '$1 == "clock" && $2 == 4194304 { found = 1
	if ($3 != n || ($4 - sum / n) ^ 2 > 1e-6) { print "mean " $4 " of " $3 ", not " sum / n; exit 1 } }
	END { if (!found) exit 1 }' whole/points.csv || fail "points.csv: $(cat whole/points.csv)"

# Failed runs are named, and stop no other; --resume leaves them, --retry does not.
"$ballast" sweep a.job --vary swap.victim=none,lru -s host.memory=2mb -o failing >out 2>err
rc=$?
says 1 '1 of 2 runs failed'
says 1 'run 0 (swap.victim=none seed 1) failed: vm a: no frame'
[ "$(sqlite3 failing/results.sqlite 'SELECT state FROM runs ORDER BY run' | tr '\n' ' ')" = "failed done " ] ||
	fail "states: $(rows failing)"
"$ballast" sweep --retry -o failing --json >out 2>err
rc=$?
says 1 '1 of 2 runs failed'
grep -q '"failed": 1' out && grep -q '"swap.victim": "none"' out || fail "--json: $(cat out)"

# What does not fit together.
for option in --time=1:00 --partition=p --array-size=3; do
	"$ballast" sweep a.job $sweep $option -o lone >out 2>err
	rc=$?
	says 2 "${option%=*} is of a job array: it needs --slurm"
done
PATH=/nonexistent "$ballast" sweep a.job $sweep --slurm -o lone >out 2>err
rc=$?
says 1 'there is no sbatch: --slurm needs'
[ -e lone ] && fail "a folder for nothing"
"$ballast" sweep a.job $sweep -o whole >out 2>err
rc=$?
says 2 'holds a sweep already: --resume'
"$ballast" sweep a.job $sweep -s swap.read_time=1ms --resume -o whole >out 2>err
rc=$?
says 2 'swap.read_time is the default there and 1ms here'
"$ballast" sweep --resume -o nothing >out 2>err
rc=$?
says 2 'holds no sweep to resume'
[ -e nothing ] && fail "nothing is left behind for a sweep that is none"
mkdir full_of
echo mine >full_of/thesis.tex
"$ballast" sweep a.job --vary swap.victim=lru -o full_of >out 2>err
rc=$?
says 2 'full_of: is there and holds other things than results (thesis.tex)'
[ "$(ls -A full_of)" = thesis.tex ] || fail "refused, but written: $(ls -A full_of)"
"$ballast" sweep a.job --vary swap.victim=lru -o full_of --force >out 2>err || fail "--force: $(cat err)"
rm full_of/thesis.tex
"$ballast" sweep --resume -o full_of >out 2>err || fail "$(cat err)"
"$ballast" sweep a.job --vary swap.victim=lru,clokc -o nothing 2>err
rc=$?
says 2 "did you mean 'clock'"
"$ballast" sweep a.job --vary swap.victim=lru,fifo --dry-run -o nothing >out 2>err || fail "dry run"
grep -q '2 points, 1 seed each: 2 runs' out && [ ! -e nothing ] || fail "dry run: $(cat out)"

# Ctrl-C: a line, the signal's death, nothing lost.
"$ballast" sweep a.job --vary swap.victim=lru,clock --seeds 400 -o stopped >out 2>err &
pid=$!
until [ -s stopped/results.sqlite ]; do sleep 0.05; done
kill -TERM $pid
wait $pid
rc=$?
says 143 'go on with .ballast sweep --resume -o stopped'
[ -e stopped/.lock ] && fail "the lock is left behind"

# Locked by another program; two sweeps at once.
"$ballast" sweep a.job $sweep -o locked >out 2>err || fail "$(cat err)"
sqlite3 locked/results.sqlite "DELETE FROM runs WHERE run > 3"
mkfifo hold
sqlite3 locked/results.sqlite <hold >/dev/null 2>&1 &
holder=$!
exec 3>hold
echo "BEGIN EXCLUSIVE; SELECT 1;" >&3
sleep 0.3
"$ballast" sweep --resume -o locked >out 2>err
rc=$?
says 1 'locked by another program'
exec 3>&-
wait $holder
"$ballast" sweep --resume -o locked >out 2>err || fail "once unlocked: $(cat err)"
rows locked | cmp - a || fail "the rows differ after a lock"
"$ballast" sweep a.job --vary swap.victim=lru,clock --seeds 400 -o twice >out 2>/dev/null &
pid=$!
until [ -s twice/results.sqlite ]; do sleep 0.05; done
"$ballast" sweep --resume -o twice >out 2>err
rc=$?
says 1 "process $pid is sweeping there"
kill $pid
wait $pid 2>/dev/null

# A full disk (here a limit on file sizes) keeps what is done.
(ulimit -f 800 && exec "$ballast" sweep a.job $sweep --seeds 300 -o full >out 2>err)
rc=$?
says 1 'finished runs are kept'
n=$(sqlite3 full/results.sqlite 'SELECT count(*) FROM runs')
[ "$n" -gt 5 ] && [ "$n" -lt 1200 ] || fail "$n runs are kept on a full disk"

# A folder that cannot be written to.
mkdir closed
chmod 555 closed
if [ "$(id -u)" = 0 ]; then
	as="setpriv --reuid=65534 --regid=65534 --clear-groups"
	chmod 755 . && chmod 644 a.job
else
	as=
fi
if $as test -x "$ballast"; then
	$as "$ballast" sweep a.job $sweep -o closed >out 2>err
	rc=$?
	says 1 'closed: cannot write there: Permission denied'
fi
exit $bad
