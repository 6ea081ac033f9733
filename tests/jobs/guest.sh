#!/bin/sh
# Guests with an operating system, as a user runs them.
. "$(dirname "$0")/../lib.sh"

# value FILE NAME: the only statistic of that name.
value() {
	sed -n "s/^ *\"$2\": \([0-9]*\),*$/\1/p" "$1" | head -n 1
}

cat >"$work/a.job" <<'END'
host { memory = 64mb audit = 1s }
guest { boot_time = 1s }
workload clients { kind = dbench clients = 4 file_set = 8mb memory = 64kb }
workload around { kind = idle memory = 2mb active = 1mb duration = 20s }
vm a { os = linux memory = 32mb workload = {clients, around} }
vm b { os = windows memory = 24mb workload = {around} }
END

# The same job, the same bytes; each request is done.
for dir in one two; do
	mkdir "$work/$dir"
	"$ballast" run "$work/a.job" --json -o "$work/$dir" >"$work/$dir.json" || fail "the run failed"
done
diff -r "$work/one" "$work/two" >/dev/null || fail "two runs of a job differ"
[ "$(value "$work/one.json" work_bytes)" = $((4 * 8 * 1024 * 1024 * 3)) ] || fail "bytes of dbench"
[ "$(value "$work/one.json" vm_failed)" = 0 ] || fail "a VM failed"
[ "$(value "$work/one.json" os_double_paged)" = 0 ] || fail "paged twice, though nobody swaps"
[ "$(value "$work/one.json" cache_misses)" -gt 0 ] || fail "32 mb of files fit in 32 mb of guest"

# docs/guest.md lists every statistic of a guest, and no other.
sed -n 's/^ *"\([a-z_]*\)": [^{].*/\1/p' "$work/one.json" | sort -u >"$work/stats"
"$ballast" trace gen zipf -s refs=1000 -s pages=100 -o "$work/z.bt" >/dev/null
"$ballast" run experiments/jobs/replay.job -s vm.a.trace="$work/z.bt" --json |
	sed -n 's/^ *"\([a-z_]*\)": [^{].*/\1/p' | grep -vx refs | sort -u >"$work/others"
sed -n '/^## Statistics/,$p' docs/guest.md | grep '^| `' | sed 's/^| \([^|]*\)|.*/\1/' |
	grep -o '`[a-z_]*`' | tr -d '`' | sort -u >"$work/listed"
comm -23 "$work/stats" "$work/others" | diff - "$work/listed" >"$work/diff" ||
	fail "docs/guest.md and --json: $(cat "$work/diff")"

# A balloon takes what the guest can best do without: free pages and cache, never its swap.
cat >"$work/b.job" <<'END'
host { memory = 128mb thresholds = esx reclaimers = {balloon} }
reclaim { soft = 5.99% width = 0.1% }
guest { boot_time = 30s memory_test = on }
workload touch { kind = idle memory = 10mb active = 1mb duration = 60s }
vm a { os = linux memory = 80mb overhead = 0 workload = touch }
vm b { os = windows memory = 60mb min = 60mb overhead = 0 balloon = off workload = touch }
at 40s { add = b }
END
mkdir "$work/b"
"$ballast" run "$work/b.job" --json -o "$work/b" >"$work/b.json" || fail "the run with a balloon failed"
[ "$(value "$work/b.json" os_balloon)" -gt 4000 ] || fail "no balloon"
[ "$(value "$work/b.json" os_balloon)" = "$(value "$work/b.json" balloon)" ] ||
	fail "guest and host do not agree on the balloon"
[ "$(value "$work/b.json" held)" = "$(value "$work/b.json" target)" ] ||
	fail "the VM does not hold what it is to have"
[ "$(value "$work/b.json" os_swap_out)" = 0 ] || fail "the guest swapped for the balloon"

# An idle guest gives 100 MB within 2 s of being asked, at default rates.
"$ballast" run "$work/b.job" -s host.memory=256mb -s vm.a.memory=180mb -s vm.b.memory=180mb \
	-s vm.b.min=180mb -s run.sample=100ms -o "$work/b" >"$work/out" || fail "100 MB: $(cat "$work/out")"
awk -F, '
	NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
	$col["vm.a.os_balloon"] > 0 && !first { first = $1 }
	$col["vm.a.os_balloon"] >= 25600 { last = $1; exit }
	END { exit !(first && last && last - first < 2) }
	' "$work/b/series.csv" || fail "100 MB took longer than 2 s"

# With every byte checked: a balloon, hints, a guest that swaps, a host that swaps.
sed -i 's/^workload touch.*/&\nworkload build { kind = kernel-build clients = 3 memory = 8mb rounds = 30 }/
	s/workload = touch/workload = {touch, build}/
	s/{balloon}/{balloon, swap}/' "$work/b.job"
for more in "balloon.hints=on" "guest.memory_test=on" "vm.a.balloon=off"; do
	"$ballast" run "$work/b.job" -s host.backing=ram -s run.oracle=on -s "$more" >"$work/out" 2>&1 ||
		fail "$more: $(tail -n 1 "$work/out")"
done
"$ballast" run "$work/b.job" -s balloon.hints=on --json >"$work/b.json" || fail "hints"
[ "$(value "$work/b.json" hinted)" -gt 1000 ] || fail "no hints: $(value "$work/b.json" hinted)"

# What it touches besides its references is no miss of theirs.
"$ballast" run "$work/b.job" >"$work/out"
grep -q '^a  *[0-9]*  *[0-9]*  *[0-9]*  *[0-9]*  *-  ' "$work/out" ||
	fail "misses of an operating system: $(head -n 2 "$work/out")"

# What is refused, in one line, with the place and the mend.
refused() {
	code=$1 text=$2
	shift 2
	"$ballast" run "$work/a.job" "$@" >"$work/out" 2>&1
	rc=$?
	[ $rc = "$code" ] || fail "$*: exit code $rc, not $code"
	[ "$(wc -l <"$work/out")" = 1 ] || fail "$*: more than a line: $(cat "$work/out")"
	grep -q "$text" "$work/out" || fail "$*: $(cat "$work/out")"
}
refused 2 'no section workload nosuch' -s vm.a.workload=nosuch
echo 'vm c { os = linux }' >"$work/c.job"
"$ballast" run "$work/c.job" 2>&1 | grep -q 'give vm.c.memory' || fail "a guest of no size"
refused 2 'never ends: give its duration' -s workload.around.duration=0
refused 2 'too few for a guest OS' -s vm.b.memory=4mb
refused 2 'at most 256gb' -s vm.b.memory=300gb -s host.memory=1gb
refused 2 "did you mean 'linux'" -s vm.a.os=linus
refused 2 'of kind trace' -s vm.a.gen=x
exit $bad
