#!/bin/sh
# ballast reproduce: rows and figures are there and right, the rows equal
# another simulator's counts, and a second run, by an installed program, gives
# the same.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=$PWD/build/ballast
[ "${BUILD:-build}" = build ] || {
	echo "skipped: hundreds of runs as in oracle.sh, esx-figs.sh drives the same code"
	exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

fail() {
	echo "$*"
	bad=1
}

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
[ "$(ls -A "$work/a" | wc -l)" = 4 ] || fail "not four files: $(ls -A "$work/a")"
for file in csv gp svg png; do
	grep -q "$curves.$file\$" "$work/out" || fail "the output does not name replay-curves.$file"
done

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
"$ballast" reproduce --list | sed 's/ .*//' >"$work/ids"
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

# The command line.
"$ballast" reproduce --list | grep -q '^replay-curves ' || fail "--list does not name it"
"$ballast" reproduce --list --json | grep -q '"replay-curves": {' || fail "--list --json neither"
"$ballast" reproduce replay-curve 2>"$work/err"
rc=$?
[ $rc = 2 ] && grep -q "did you mean 'replay-curves'" "$work/err" || fail "a wrong id: $rc"
"$ballast" reproduce -o "$work/out" 2>"$work/err"
rc=$?
[ $rc = 2 ] && grep -q 'no folder' "$work/err" || fail "a file as the folder: $rc"
exit $bad
