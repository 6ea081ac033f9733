#!/bin/sh
# ballast reproduce: rows and figures are there and right, the rows equal
# another simulator's counts, and a second run, by an installed program, gives
# the same.
. "$(dirname "$0")/../lib.sh"
[ "$build" = build ] || skip "hundreds of runs as in oracle.sh, esx-figs.sh drives the same code"

# big HEX: four bytes, highest first, as a number.
big() {
	printf '%d\n' "0x$(od -An -tx1 -j "$1" -N 4 "$curves.png" | tr -d ' ')"
}

"$ballast" reproduce replay-curves -o "$work/a" >"$work/out" 2>"$work/err" ||
	{
		echo "exit code $?: $(cat "$work/err")"
		exit 1
	}
curves=$work/a/replay-curves
[ "$(ls -A "$work/a" | tr '\n' ' ')" = "index.html replay-curves-lru.job replay-curves.csv replay-curves.gp replay-curves.png replay-curves.svg " ] ||
	fail "not these files: $(ls -A "$work/a")"
for file in replay-curves.csv replay-curves.gp replay-curves.svg replay-curves.png replay-curves-lru.job index.html; do
	grep -q "$work/a/$file\$" "$work/out" || fail "the output does not name $file"
done

# The job of a point makes that point's row again.
"$ballast" run "$work/a/replay-curves-lru.job" --json >"$work/json" || fail "the job of a point: exit code $?"
frames=$(sed -n 's/.*frames = //p' "$work/a/replay-curves-lru.job")
faults=$(sed -n 's/^ *"faults": \([0-9]*\),*$/\1/p' "$work/json" | tail -n 1)
grep -q "^sqlite,$frames,lru,[0-9]*,$faults," "$curves.csv" || fail "the job of a point: $faults faults in $frames frames"

# Figures.
[ "$(od -An -tx1 -N 8 "$curves.png" | tr -d ' ')" = 89504e470d0a1a0a ] || fail "no PNG signature"
[ "$(big 16)" -ge 800 ] && [ "$(big 20)" -ge 600 ] || fail "the PNG is $(big 16) x $(big 20)"
tail -c 12 "$curves.png" | grep -q IEND || fail "the PNG has no end"
grep -q '<svg ' "$curves.svg" && grep -q '</svg>' "$curves.svg" || fail "no whole SVG"
for word in random clock lru fifo wsclock s3fifo sqlite xz memory; do
	grep -q ">[^<]*\b$word\b[^<]*<" "$curves.svg" || fail "the SVG does not say $word"
done
(cd "$work/a" && gnuplot -d -e "format='svg'" replay-curves.gp) | cmp -s - "$curves.svg" ||
	fail "the script does not draw the same figure again"

# Rows: form, and every count that is known from outside.
awk -F, '
	NR == 1 && $0 != "trace,frames,victim,refs,faults,miss_ratio" { print "head: " $0; exit 1 }
	NR > 1 && (NF != 6 || sprintf("%.9f", $5 / $4) != $6 || $5 > $4) { print "row: " $0; exit 1 }
	' "$curves.csv" || bad=1
awk '
	FNR == NR { if (FNR > 1) { lru[$1, $4] = $5; fifo[$1, $4] = $6; refs[$1] = $2 } next }
	FNR > 1 {
		split($0, row, ",")
		at = row[1] SUBSEP row[2]
		if (row[4] != refs[row[1]]) { print "refs: " $0; bad = 1 }
		if (!(at in lru)) next
		if (row[3] == "lru" && ++n && row[5] != lru[at]) { print "not " lru[at] ": " $0; bad = 1 }
		if (row[3] == "fifo" && ++n && row[5] != fifo[at]) { print "not " fifo[at] ": " $0; bad = 1 }
	}
	END { if (n < 20) { print "only " n " counts known from outside"; bad = 1 } exit bad }
	' tests/data/misses.tsv "$curves.csv" || bad=1

# A program in another place finds its data there, from any folder, or says how
# to get it.
mkdir -p "$work/alone/bin"
cp "$ballast" "$work/alone/bin/"
"$work/alone/bin/ballast" reproduce -o "$work/b" 2>"$work/err"
rc=$?
[ $rc = 1 ] && grep -q 'make install' "$work/err" || fail "without data: $(cat "$work/err")"
[ -d "$work/b" ] && fail "without data: a folder is left behind"
(unset MAKEFLAGS && make -s install DESTDIR="$work" PREFIX=/usr) || fail "make install failed"
[ -s "$work/usr/share/man/man1/ballast.1" ] || fail "make install leaves no manual page"

# It runs all experiments where none is named, with the same rows; a gnuplot that draws nothing saves time.
mkdir "$work/fake"
printf '#!/bin/sh\nexit 0\n' >"$work/fake/gnuplot"
chmod +x "$work/fake/gnuplot"
(cd / && PATH="$work/fake:$PATH" "$work/usr/bin/ballast" reproduce -o "$work/b") >"$work/out" ||
	fail "all experiments: exit code $?"
cmp "$curves.csv" "$work/b/replay-curves.csv" || bad=1
"$ballast" reproduce --list | sed "/ (live)\$/d; s/ .*//" >"$work/ids"
while read -r id; do
	[ -s "$work/b/$id.csv" ] && grep -q "^$id: " "$work/out" || fail "$id did not run"
done <"$work/ids"

# Without gnuplot: one line that names the package; rows and script are kept.
PATH=/nonexistent "$ballast" reproduce esx-fig4 -o "$work/c" >"$work/out" 2>"$work/err"
rc=$?
[ $rc = 1 ] || fail "without gnuplot: exit code $rc, not 1"
[ "$(wc -l <"$work/err")" = 1 ] && grep -q gnuplot-nox "$work/err" ||
	fail "without gnuplot: $(cat "$work/err")"
[ "$(ls -A "$work/c")" = "$(printf 'esx-fig4.csv\nesx-fig4.gp')" ] || fail "without gnuplot: $(ls -A "$work/c")"

# An experiment that fails does not stop the others, and is on the page.
mkdir -p "$work/part/build"
cp "$ballast" "$work/part/build/"
cp -R experiments "$work/part/"
rm "$work/part/experiments/paper/fig5_sharing.csv"
PATH="$work/fake:$PATH" "$work/part/build/ballast" reproduce esx-fig5 esx-fig4 -o "$work/d" >"$work/out" 2>"$work/err"
rc=$?
[ $rc = 1 ] || fail "one of two fails: exit code $rc, not 1"
[ "$(wc -l <"$work/err")" = 1 ] && grep -q '^ballast: esx-fig5: paper/fig5_sharing.csv is neither' "$work/err" ||
	fail "one of two fails: $(cat "$work/err")"
grep -q '^esx-fig4: ' "$work/out" && grep -q 'fig5_sharing.csv is neither in' "$work/d/index.html" ||
	fail "one of two fails: not told, or not on the page"
[ -z "$(find "$work/d" -name "esx-fig5*")" ] || fail "one of two fails: $(ls -A "$work/d")"

# alive PIDS: one of them still runs (a zombie does not).
alive() {
	for child in $1; do
		case $(ps -o stat= -p "$child") in '' | Z*) ;; *) return 0 ;; esac
	done
	return 1
}

# Killed in the middle, it leaves neither half a file, nor an empty folder, nor a process.
for signal in TERM KILL; do
	"$ballast" reproduce sharing-scan esx-fig5 -o "$work/k" >/dev/null 2>&1 &
	pid=$!
	tries=0
	until [ -d "$work/k" ]; do
		tries=$((tries + 1))
		[ $tries -gt 200 ] && fail "no folder is made" && break
		sleep 0.02
	done
	sleep 0.3
	group=$(ps -o pid= --ppid $pid)
	kill -$signal $pid
	wait $pid 2>/dev/null
	tries=0
	while { [ -d "$work/k" ] || alive "$group"; } && [ $tries -lt 100 ]; do
		tries=$((tries + 1))
		sleep 0.02
	done
	[ -d "$work/k" ] && fail "SIG$signal leaves a folder with $(ls -A "$work/k")" && rm -rf "$work/k"
	[ -n "$group" ] || fail "SIG$signal: no experiment had a process"
	alive "$group" && fail "SIG$signal leaves processes of $group"
done

# A folder with other things in it is refused, but for --force.
mkdir "$work/mine"
touch "$work/mine/thesis.tex"
"$ballast" reproduce esx-fig4 -o "$work/mine" 2>"$work/err"
rc=$?
[ $rc = 2 ] && grep -q 'other things than results (thesis.tex)' "$work/err" || fail "a folder of others: $rc: $(cat "$work/err")"
[ "$(ls -A "$work/mine")" = thesis.tex ] || fail "refused, but written: $(ls -A "$work/mine")"

# The command line.
"$ballast" reproduce --list | grep -q '^replay-curves ' || fail "--list does not name it"
"$ballast" reproduce --list --json | grep -q '"replay-curves": {' || fail "--list --json neither"
"$ballast" reproduce replay-curve 2>"$work/err"
rc=$?
[ $rc = 2 ] && grep -q "did you mean 'replay-curves'" "$work/err" || fail "a wrong id: $rc"
for jobs in 0 65 -1 2x ''; do
	"$ballast" reproduce --jobs "$jobs" 2>"$work/err"
	rc=$?
	[ $rc = 2 ] && grep -q 'give 1 to 64' "$work/err" || fail "--jobs '$jobs': $rc: $(cat "$work/err")"
done
"$ballast" reproduce -o "$work/out" 2>"$work/err"
rc=$?
[ $rc = 2 ] && grep -q 'no folder' "$work/err" || fail "a file as the folder: $rc"
exit $bad
