#!/bin/sh
# The documents: every command in them runs, every output shown is what comes,
# every name is one that the program knows.
#
# A fence tagged sh is run, in the order of its document, in a copy of the tree
# (```sh needs=valgrind only where that program is there); a fence tagged output
# right behind it holds what it must print; a diff is applied; a c block whose
# first line is a comment with a path becomes that file. What cannot run here
# is fenced console. Figures of speed and memory are not compared.
#
#   tests/jobs/docs.sh --update    rewrites the output blocks that are not what came
. "$(dirname "$0")/../lib.sh"
not_in '*thread*' "no command here starts a thread"
update=
[ "${1:-}" = --update ] && update=1

# A document as a script. Each block's standard output goes to its own file.
script_of() {
	awk -v doc="$1" -v out="$2" '
	function quote(s) { gsub(/\047/, "\047\\\047\047", s); return "\047" s "\047" }
	!tag && /^```/ {
		tag = substr($1, 4)
		start = NR
		if (tag == "sh") {
			skip = $2 ~ /^needs=/ ? substr($2, 7) : ""
			print "echo " quote(doc ":" NR) " >&3"
			print skip ? "if command -v " skip " >/dev/null; then" : "if true; then"
			last = NR
		} else if (tag == "output") {
			printf "" > (out "/" last ".want")
		} else if (tag == "diff") {
			print "echo " quote(doc ":" NR) " >&3"
			print "git apply --unidiff-zero --whitespace=nowarn <<\047END_OF_DIFF\047"
		}
		next
	}
	tag && /^```$/ {
		if (tag == "sh") print "fi >" out "/" last ".got"
		if (tag == "diff") print "END_OF_DIFF"
		if (tag == "c" && file) print "END_OF_C"
		tag = file = ""
		next
	}
	tag == "sh" || tag == "diff" { print }
	tag == "output" { print > (out "/" last ".want") }
	tag == "c" && NR == start + 1 && match($0, /[a-z]+\/[a-z0-9_-]+\.c/) {
		file = substr($0, RSTART, RLENGTH)
		print "echo " quote(doc ":" NR) " >&3"
		print "cat >" file " <<\047END_OF_C\047"
	}
	tag == "c" && file { print }
	' "$1"
}

# Figures that differ from machine to machine, or with the size of the manager itself.
steady() {
	sed -e 's/[0-9.]* M references per CPU-second/N M references per CPU-second/' \
		-e 's/tables [0-9.]* KiB/tables N KiB/' \
		-e 's/"metadata_bytes": [0-9]*/"metadata_bytes": N/' -e 's/"bytes": [0-9]*/"bytes": N/' \
		-e 's/^bytes .*/bytes N/' "$1"
}

# Puts what came into the document's output blocks.
rewrite() {
	awk -v out="$2" '
	!tag && /^```/ {
		tag = substr($1, 4)
		if (tag == "sh") last = NR
		print
		if (tag == "output") while ((getline line < (out "/" last ".got")) > 0) print line
		next
	}
	tag && /^```$/ { tag = "" }
	tag != "output" { print }
	' "$1" >"$work/new" && cat "$work/new" >"$1"
}

check_doc() {
	doc=$1
	name=$(basename "$doc" .md)
	tree=$work/$name
	mkdir -p "$tree" "$work/$name.out"
	tar -cf - --exclude=./.git --exclude='./build*' --exclude=./results . | tar -xf - -C "$tree"
	if [ "$build" = build ]; then
		cp -Rp build "$tree/build"
	else
		mkdir "$tree/build"
		cp -p "$build/ballast" "$tree/build/"
	fi
	script_of "$doc" "$work/$name.out" >"$work/$name.sh"
	(cd "$tree" && unset MAKEFLAGS && sh -eu "$work/$name.sh" 3>"$work/at" 2>"$work/err" </dev/null) ||
		fail "$(tail -n 1 "$work/at"): exit code $?: $(tail -n 5 "$work/err")"
	for want in "$work/$name.out"/*.want; do
		[ -f "$want" ] || continue
		got=${want%want}got
		steady "$want" >"$work/a"
		steady "$got" >"$work/b"
		if diff -u "$work/a" "$work/b" >"$work/diff"; then
			cp "$want" "$got" # figures of speed stay as they are
		elif [ -z "$update" ]; then
			fail "$doc:$(basename "$want" .want): another output (tests/jobs/docs.sh --update shows it):"
			tail -n +4 "$work/diff"
		fi
	done
	[ -n "$update" ] && rewrite "$doc" "$work/$name.out"
	rm -rf "$tree"
}

for doc in README.md docs/*.md; do
	# Building takes the plain flags.
	[ "$build" != build ] && grep -q '^make' "$doc" && continue
	check_doc "$doc"
done

# Functions, files and folders that the documents name are there.
for doc in README.md docs/*.md; do
	for name in $(grep -o '`[a-z_0-9]*()`' "$doc" | tr -d '`()' | sort -u); do
		grep -qE "\b$name\(" -r core pmap balloon sharing swap tax traces live experiments --include='*.[ch]' ||
			fail "$doc names $name(), which is not there"
	done
	for name in $(grep -oE '`(core|pmap|balloon|sharing|swap|tax|traces|live|experiments|tests|docs)/[a-z0-9_./-]*`' "$doc" | tr -d '`'); do
		[ -e "$name" ] || [ -e "$name.c" ] || grep -q "^/\* $name" "$doc" || fail "$doc names $name, which is not there"
	done
done

# results.md lists every statistic, and no other; every column of a series is marked.
"$build/ballast" run experiments/jobs/replay.job -s vm.a.trace=experiments/traces/sqlite.u32.zst \
	-s share.scan=sequential -s sample.sampler=esx -s sample.truth=on -s host.low_memory=80kb \
	-s host.reclaimers=balloon,swap \
	--json -o "$work/run" >"$work/json" 2>"$work/err" || fail "a run failed: $(cat "$work/err")"
cat >"$work/mmu.job" <<'EOF'
host { memory = 64mb }
gen walker { law = walker refs = 20k pages = 2000 }
vm a { gen = walker memory = 32mb translation = shadow }
large { frames = reserve }
EOF
"$build/ballast" run "$work/mmu.job" --json -o "$work/mmu" >>"$work/json" 2>"$work/err" ||
	fail "a run with shadow page tables failed: $(cat "$work/err")"
sed -n 's/^ *"\([a-z_]*\)": [^{].*/\1/p' "$work/json" | sort -u >"$work/stats"
sed -n '/^## The host/,/^## Figures/s/^| `\([a-z_]*\)` .*/\1/p' docs/results.md | sort -u >"$work/listed"
diff "$work/stats" "$work/listed" >"$work/diff" || fail "docs/results.md and --json: $(cat "$work/diff")"
head -qn 1 "$work/run/series.csv" "$work/mmu/series.csv" | tr , '\n' | sed -n 's/.*\.//p' | sort -u >"$work/stats"
sed -n 's/^| `\([a-z_]*\)` |[^|]*| yes .*/\1/p' docs/results.md | sort -u >"$work/listed"
diff "$work/stats" "$work/listed" >"$work/diff" || fail "docs/results.md and series.csv: $(cat "$work/diff")"

# The manual page knows every command and exit code; the commands' own pages are made from their tables.
"$build/ballast" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' >"$work/commands"
[ "$(wc -l <"$work/commands")" -ge 9 ] || fail "the overview names $(wc -l <"$work/commands") commands"
while read -r command; do
	grep -q "^\.It Xr ballast-$command 1" docs/ballast.1 || fail "ballast.1 does not tell of $command"
done <"$work/commands"
for code in 0 1 2 3; do
	grep -qx "\.It $code" docs/ballast.1 || fail "ballast.1 does not tell of exit code $code"
done
exit $bad
