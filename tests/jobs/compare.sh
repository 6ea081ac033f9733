#!/bin/sh
# ballast compare and plot: differences seed by seed as awk reckons them from the
# rows, Pareto fronts as a slow twin finds them, figures for every shape of grid.
. "$(dirname "$0")/../lib.sh"
not_in '*thread*' "processes of one thread each: nothing for ThreadSanitizer to find"
cd "$work" || exit 1

# drawn DIR NAME WORD..: whole figures, an SVG that says so much.
drawn() {
	at=$1/$2
	shift 2
	[ -s "$at.csv" ] && [ -s "$at.gp" ] || fail "$at has no rows or no script"
	[ "$(od -An -tx1 -N 8 "$at.png" | tr -d ' ')" = 89504e470d0a1a0a ] || fail "$at.png is no PNG"
	grep -q '</svg>' "$at.svg" || fail "$at.svg is not whole"
	for word in "$@"; do
		grep -qF -- "$word" "$at.svg" || fail "$at.svg does not say $word"
	done
}

# says CODE WORDS: the last command's exit code and its one line.
says() {
	[ "$rc" = "$1" ] || fail "exit code $rc, not $1: $(cat err)"
	shift
	grep -q -- "$*" err || fail "it does not say '$*': $(cat err)"
}

cat >a.job <<'END'
gen g { law = zipf refs = 20k pages = 1000 }
vm a { gen = g }
host { thresholds = none }
END
"$ballast" sweep a.job --vary swap.victim=lru,fifo,clock --vary host.memory=1mb,2mb --seeds 4 -o s \
	--metric vm.a.faults --pareto vm.a.faults,+host.free >out 2>err || fail "$(cat err)"
drawn s vm-a-faults lru fifo clock 'host.memory, MiB' 'vm.a.faults: means of 4 runs'
drawn s pareto vm.a.faults host.free

# Paired differences: mean and 95 % interval, t(0.975, 3) = 3.18245.
"$ballast" compare s --by swap.victim --metric vm.a.faults --json >compared || fail "compare --by"
sqlite3 -separator ' ' s/results.sqlite "SELECT b.\"swap.victim\", a.\"host.memory\", b.value - a.value
	FROM (runs JOIN stats USING (run)) AS a JOIN (runs JOIN stats USING (run)) AS b
	ON a.name = b.name AND a.seed = b.seed AND a.\"host.memory\" = b.\"host.memory\"
	WHERE a.name = 'vm.a.faults' AND a.\"swap.victim\" = 'lru' AND b.\"swap.victim\" <> 'lru'" |
	awk '{ n[$1 " " $2]++; sum[$1 " " $2] += $3; squares[$1 " " $2] += $3 * $3 }
	END { for (k in n) { m = sum[k] / n[k]; sd = sqrt((squares[k] - n[k] * m * m) / (n[k] - 1))
		printf "%s %.6f %.3f\n", k, m, 3.18245 * sd / sqrt(n[k]) } }' | sort >want
awk -F'[:,]' '/"host.memory"/ { memory = $2 } /"arm":/ { arm = $2; gsub(/[" ]/, "", arm) }
	/"difference"/ { d = $2 } /"ci95"/ { printf "%s %d %.6f %.3f\n", arm, memory, d, $2 }' compared |
	sort >got
diff want got || fail "differences"
[ "$(wc -l <got)" = 4 ] || fail "$(wc -l <got) comparisons"
"$ballast" compare s --by swap.victim --metric vm.a.faults >out || fail "compare, as a table"
grep -q 'over all points: fifo is 1\.[0-9]* times lru; 8 up, 0 down of 8 pairs' out || fail "$(cat out)"

# Two sweeps of the same grid: the same draws, so what differs is the option.
"$ballast" sweep a.job --vary swap.victim=lru,fifo,clock --vary host.memory=1mb,2mb --seeds 4 \
	-s host.thresholds=reserve -o r >/dev/null 2>err || fail "$(cat err)"
"$ballast" compare s r --metric vm.a.faults >out || fail "compare s r"
grep -q 'over all points: r is 1\.[0-9]* times s; 24 up, 0 down of 24 pairs' out || fail "$(cat out)"
"$ballast" compare s s --metric vm.a.faults | grep -q '0 up, 0 down of 24' || fail "s is unlike itself"

# The front by a slow twin: nobody is better in one and no worse in the other.
awk -F, 'NR > 1 { n++; a[n] = $2; b[n] = -$3; front[n] = $4 }
	END { for (i = 1; i <= n; i++) { beaten = 0
		for (k = 1; k <= n; k++) if (a[k] <= a[i] && b[k] <= b[i] && (a[k] < a[i] || b[k] < b[i])) beaten = 1
		if (front[i] == beaten) { print "row " i " is wrong"; bad = 1 } }
		exit bad || n != 6 }' s/pareto.csv || fail "pareto.csv: $(cat s/pareto.csv)"
"$ballast" sweep a.job --vary swap.victim=lru,fifo --vary host.memory=1mb:3mb:512kb -o p \
	--metric vm.a.faults --pareto vm.a.faults,host.frames >/dev/null 2>err || fail "$(cat err)"
awk -F, 'NR > 1 && $4 { n++; if (n > 1 && !($2 > a && $3 < b)) exit 1; a = $2; b = $3 }
	END { exit n != 5 }' p/pareto.csv || fail "the front of lru's five: $(cat p/pareto.csv)"

# The other shapes, a ratio as a metric.
"$ballast" sweep a.job --vary gen.g.alpha=0.5,0.9 --vary host.memory=1mb:3mb:1mb \
	--vary swap.victim=lru,fifo -o h --metric vm.a.faults/vm.a.refs >/dev/null 2>err || fail "$(cat err)"
drawn h vm-a-faults-vm-a-refs swap.victim=lru swap.victim=fifo 3mb 0.9
"$ballast" sweep a.job --vary swap.victim=lru,fifo -s host.memory=1mb -o b --metric host.time_ns \
	>/dev/null 2>err || fail "$(cat err)"
drawn b host-time_ns lru fifo
rm b/host-time_ns.*
"$ballast" plot b --metric vm.*.faults >out || fail "plot b"
drawn b vm-faults lru fifo
[ -e b/host-time_ns.svg ] && fail "plot draws what nobody asked for"

# A run's series; two runs side by side.
for victim in lru fifo; do
	"$ballast" run a.job -s host.memory=1mb -s swap.victim=$victim -s run.sample=200ms -o $victim \
		>/dev/null || fail "a run"
done
cp lru/series.csv before
"$ballast" plot lru >out || fail "plot of a run"
drawn lru series vm.a.swapped host.free 'virtual time'
cmp before lru/series.csv || fail "plot changes the series"
"$ballast" plot lru --metric vm.a.swap_ins >out && ! grep -q 'host.free' lru/series.svg ||
	fail "plot --metric of a run"
"$ballast" compare lru fifo >out || fail "compare of runs"
grep -Eq '^swap.victim +lru +fifo$' out || fail "the option that differs: $(cat out)"
a=$(sed -n 's/.*"faults": \([0-9]*\),/\1/p' lru/summary.json)
b=$(sed -n 's/.*"faults": \([0-9]*\),/\1/p' fifo/summary.json)
grep -Eq "^vm.a.faults +$a +$b +\+$(awk "BEGIN { printf \"%.2f\", 100 * ($b - $a) / $a }")%" out ||
	fail "faults $a and $b: $(cat out)"
grep -q '^vm.a.refs' out && fail "statistics that do not differ are shown"

# What goes wrong.
"$ballast" compare s lru >out 2>err
rc=$?
says 2 'like with like'
"$ballast" compare s nowhere >out 2>err
rc=$?
says 2 'nowhere: holds no results of a run or a sweep'
"$ballast" compare s p >out 2>err
rc=$?
[ $rc = 0 ] || fail "grids that overlap: $(cat err)"
grep -q '2 points are not in every sweep\|points are not in every sweep' out || fail "what p lacks: $(tail -n 1 out)"
"$ballast" compare s b >out 2>err
rc=$?
says 2 's varies host.memory, and b does not'
"$ballast" compare s --by host.frames >out 2>err
rc=$?
says 2 'the sweep does not vary it'
"$ballast" plot lru --metric vm.a.swapins >out 2>err
rc=$?
says 2 "did you mean 'vm.a.swap_ins'"
"$ballast" plot . >out 2>err
rc=$?
says 2 'neither series.csv nor results.sqlite'
PATH=/nonexistent "$ballast" sweep a.job --vary swap.victim=lru,fifo -o g >out 2>err
rc=$?
says 1 'gnuplot-nox'
/bin/grep -q '2 runs done, 0 failed' out && [ -s g/results.sqlite ] && [ -s g/points.csv ] ||
	fail "without gnuplot the rest is not there: $(cat out)"
exit $bad
