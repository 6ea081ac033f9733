#!/bin/sh
# ballast trace record: a machine whose references are known by hand, in QEMU; a
# program under valgrind; the ways in which a recording ends.
. "$(dirname "$0")/../lib.sh"
not_in '*thread*' "one thread of our own here: nothing for ThreadSanitizer to find"
command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64 here"

# A boot sector, in the processor's own words. It writes a byte to each of the pages
# 32 to 95, twice over the whole, then resets the machine, which ends QEMU:
#   bb 02 00        mov bx,2
#   b8 00 20        again: mov ax,0x2000
#   8e c0           next: mov es,ax
#   26 a2 00 00     mov [es:0],al
#   05 00 01        add ax,0x100
#   3d 00 60        cmp ax,0x6000
#   75 f2           jne next
#   4b              dec bx
#   75 ec           jne again
#   b0 fe e6 64     mov al,0xfe; out 0x64,al
#   f4 eb fd        hlt; jmp to the hlt
# shellcheck disable=SC2059
printf '\273\002\000\270\000\040\216\300\046\242\000\000\005\000\001\075\000\140\165\362\113\165\354\260\376\346\144\364\353\375' >"$work/boot"
truncate -s 510 "$work/boot"
printf '\125\252' >>"$work/boot"

# record OPTION...: into $work/t.bt, what is told in $work/out.
record() {
	timeout 60 "$ballast" trace record "$@" -o "$work/t.bt" -- qemu-system-x86_64 -accel tcg -m 16 \
		-display none -nodefaults -no-reboot -drive "file=$work/boot,format=raw" >"$work/out" 2>"$work/err" </dev/null
	rc=$?
	[ $rc = 0 ] || fail "record $*: exit code $rc: $(cat "$work/err")"
	grep -v "terminating on signal 15" "$work/err" >"$work/said" && fail "record $*: $(cat "$work/said")"
	"$ballast" trace cat "$work/t.bt" | grep -v '^#' | cut -d, -f 1,2 >"$work/records"
}

i=32
while [ $i -lt 96 ]; do
	echo "$i,write"
	i=$((i + 1))
done >"$work/pass"

# The filter keeps back the second pass; the first is there to the last page, in order.
record
tail -n 64 "$work/records" | cmp -s - "$work/pass" || fail "filtered: the end is $(tail -n 3 "$work/records")"
"$ballast" trace info "$work/t.bt" | grep -q 'recorded from qemu-system-x86_64 by a plugin' || fail "no provenance"
"$ballast" trace info "$work/t.bt" | grep -qE 'space +ppn' || fail "not physical"

# Every access: both passes.
record --exact
cat "$work/pass" "$work/pass" >"$work/twice"
tail -n 128 "$work/records" | cmp -s - "$work/twice" || fail "exact: the end is $(tail -n 3 "$work/records")"

# With instructions: the boot sector's own page, 7, is read before each block of it
# runs: before the first write, and before every round of the loop (a jump ends a block).
record --exact --instructions
grep -A 1000 -n '^32,write$' "$work/records" >/dev/null || fail "instructions: no write to page 32"
tail -n 300 "$work/records" | grep -v '^7,read$' | tail -n 128 | cmp -s - "$work/twice" || fail "instructions: the writes are others"
[ "$(tail -n 256 "$work/records" | grep -c '^7,read$')" -ge 126 ] || fail "instructions: page 7 was read $(tail -n 256 "$work/records" | grep -c '^7,read$') times"
checks=$(sed -n 's/.* \([0-9]* of [0-9]*\) checks agree.*/\1/p' "$work/out")
[ -n "$checks" ] && [ "${checks% of *}" = "${checks#* of }" ] || fail "instructions and data disagree: $(cat "$work/out")"

# The file is replayed like any other.
record --renumber
"$ballast" run experiments/jobs/replay.job -s "vm.a.trace=$work/t.bt" -s host.memory=8mb --json >"$work/json" || fail "its replay failed"
pages=$("$ballast" trace info "$work/t.bt" | sed -n 's/^pages *\([0-9]*\) distinct.*/\1/p')
[ "$(sed -n 's/^ *"faults": \([0-9]*\),*$/\1/p' "$work/json" | tail -n 1)" = "$pages" ] || fail "not a fault per page of $pages"

# An end by the limit, exactly; QEMU is gone then.
record --limit 1k
[ "$(wc -l <"$work/records")" -ge 1000 ] && [ "$(grep -c , "$work/records")" -le 1001 ] || fail "limit: $(wc -l <"$work/records") lines"
"$ballast" trace info "$work/t.bt" | grep -qE '^records +1000$' || fail "limit: $("$ballast" trace info "$work/t.bt" | grep records)"

# Nothing recorded: no file, one line that says why, the one that was there stays.
# bad_end PATTERN ARGUMENT...
bad_end() {
	pattern=$1
	shift
	echo old >"$work/old.bt"
	timeout 60 "$ballast" trace record -o "$work/old.bt" "$@" >"$work/out" 2>"$work/err" </dev/null
	rc=$?
	[ $rc = 1 ] && grep -q "^ballast: .*$pattern" "$work/err" || fail "$*: exit code $rc: $(cat "$work/err")"
	[ "$(cat "$work/old.bt")" = old ] || fail "$*: the old file is gone"
}
bad_end 'told of no access' -- qemu-system-x86_64 -no-such-option
bad_end 'there is no qemu-system-nope here: apt-get install' -- qemu-system-nope
mkdir "$work/no-exec"
touch "$work/no-exec/qemu"
bad_end 'cannot start.*Permission denied' -- "$work/no-exec/qemu"
for arguments in "" "-o x.bt" "-o x.bt --limit 0 -- true" "-o x.bt --valgrind --exact -- true" "-- true"; do
	# shellcheck disable=SC2086 # words
	"$ballast" trace record $arguments 2>"$work/err"
	rc=$?
	[ $rc = 2 ] && [ "$(wc -l <"$work/err")" = 1 ] || fail "trace record $arguments: exit code $rc: $(cat "$work/err")"
done

# Ctrl-C ends the machine, and the file is whole.
rm -f "$work/c.bt"
truncate -s 1M "$work/empty"
setsid sh -c 'exec "$@"' sh "$ballast" trace record -o "$work/c.bt" -- qemu-system-x86_64 -accel tcg -m 16 -display none \
	-nodefaults -drive "file=$work/empty,format=raw" >"$work/out" 2>"$work/err" </dev/null &
pid=$!
tries=0
until [ -n "$(find "$work" -name '.ballast-*' -size +0)" ] || [ $tries -gt 40 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
sleep 0.5
kill -INT -$pid 2>/dev/null || kill -INT $pid
wait $pid
rc=$?
[ $rc = 0 ] && [ -s "$work/c.bt" ] || fail "Ctrl-C: exit code $rc: $(cat "$work/err")"

# A program, by valgrind.
if command -v valgrind >/dev/null; then
	"$ballast" trace record --valgrind --renumber -o "$work/v.bt" -- true >"$work/out" 2>"$work/err" || fail "valgrind: $(cat "$work/err")"
	valgrind --tool=lackey --trace-mem=yes --log-file="$work/lackey" true
	ours=$("$ballast" trace info "$work/v.bt" | sed -n 's/^records *//p')
	theirs=$("$ballast" trace import -f lackey -r "$work/lackey" -o "$work/w.bt" && "$ballast" trace info "$work/w.bt" | sed -n 's/^records *//p')
	# What a program touches depends on its environment by a few pages.
	[ $((ours - theirs)) -lt 2000 ] && [ $((theirs - ours)) -lt 2000 ] || fail "valgrind: $ours records, not $theirs"
fi
exit $bad
