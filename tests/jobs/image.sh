#!/bin/sh
# ballast image scan against other programs: pages by od, sort and uniq, segments
# by readelf; a real program's core, pipes, packed files, and what is refused.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

# counts FILE: its pages as "pages zero distinct", by full contents.
counts() {
	od -An -v -tx1 -w4096 "$1" | sort | uniq -c | awk '
	{ pages += $1; if ($0 ~ /^ *[0-9]+( +00)+$/) zero = $1 }
	END { print pages + 0, zero + 0, NR }'
}

# top NAME: a number of the last scan, of all images together.
top() {
	sed -n "s/^  \"$1\": \([0-9]*\),*\$/\1/p" json
}

# check WANT FILE...: scans, compares pages, zero and distinct.
check() {
	want=$1
	shift
	"$ballast" image scan --json "$@" >json 2>err </dev/null || fail "scan $*: $(cat err)"
	got="$(top pages) $(top zero) $(top distinct)"
	[ "$got" = "$want" ] || fail "scan $*: pages zero distinct: $got, not $want"
	want=$((${want%% *} - ${want##* }))
	[ "$(top reclaimable)" = $want ] || fail "scan $*: $(top reclaimable) reclaimable, not $want"
}

# le BYTES NUMBER: a little-endian number.
le() {
	i=0 n=$2
	while [ $i -lt "$1" ]; do
		# shellcheck disable=SC2059 # an octal escape
		printf "\\$(printf %o $((n & 255)))"
		n=$((n >> 8)) i=$((i + 1))
	done
}

lime() { # FIRST LAST: a range's header
	printf EMiL
	le 4 1
	le 8 "$1"
	le 8 "$2"
	le 8 0
}

# Text of numbers: pages that all differ; then zero pages, and the start again.
seq 100000 | head -c 409600 >text
{
	cat text
	head -c 204800 /dev/zero
	head -c 81920 text
} >a.raw
{
	head -c 40960 /dev/zero
	head -c 245760 text
	seq 7 100000 | head -c 40960
} >b.raw
cat a.raw b.raw >both
check "$(counts a.raw)" a.raw
[ "$(top pages)" = 170 ] || fail "a.raw has $(top pages) pages, not 170"
check "$(counts both)" a.raw b.raw
[ "$(top reclaimable_across)" = 61 ] || fail "$(top reclaimable_across) pages across, not 60 and zero"
{
	lime 4096 $((4096 + 696320 - 1))
	cat a.raw
	lime $((1 << 32)) $(((1 << 32) + 327680 - 1))
	cat b.raw
} >both.lime
check "$(counts both)" both.lime
zstd -q both.lime -o both.lime.zst
check "$(counts both)" both.lime.zst
"$ballast" image scan --json - <both.lime >json 2>err || fail "standard input: $(cat err)"
[ "$(top pages) $(top zero) $(top distinct)" = "$(counts both)" ] || fail "another count from a pipe"
grep -q '^  "patch": null' json || fail "patches from a pipe"

# A real program's core. Where it goes is up to the kernel.
pattern=$(cat /proc/sys/kernel/core_pattern 2>/dev/null)
case $pattern in
core*)
	(
		# shellcheck disable=SC3045 # dash and bash have it, here and below
		ulimit -c unlimited
		awk 'BEGIN { for (i = 0; i < 20000; i++) a[i] = "line " i % 1000; system("kill -ABRT $PPID") }'
		true # so that it is this shell that tells of the death
	) >/dev/null 2>&1
	;;
esac
core=$(find . -name 'core*' | head -n 1)
if [ -n "$core" ] && command -v readelf >/dev/null; then
	absent=0
	: >segments
	readelf -lW "$core" | awk '$1 == "LOAD" { print $2, $5, $6 }' >loads
	while read -r offset size memory; do
		tail -c +$((offset + 1)) "$core" | head -c $((size)) >>segments
		absent=$((absent + (memory - size) / 4096))
	done <loads
	check "$(counts segments)" "$core"
	[ "$(top absent)" = $absent ] || fail "the core lacks $(top absent) pages, not $absent"
	[ "$(top pages)" -gt 100 ] || fail "a core of $(top pages) pages only"
	head -c $(($(wc -c <"$core") - 1)) "$core" >short.core
else
	echo "no core dump here (core_pattern: $pattern)"
fi

# For a person: the same numbers with their units.
"$ballast" image scan a.raw b.raw >out || fail "no table"
grep -q 'all together' out || fail "no line for all images"
grep -q 'Sharing would reclaim' out || fail "no sum"
grep -q '% of all pages' out || fail "no unit"

# Half a gigabyte in little memory; sanitizers need more than this for themselves.
truncate -s 512M big.raw
case ${BUILD:-build} in
*san*) ;;
*)
	(
		# shellcheck disable=SC3045
		ulimit -v 200000
		"$ballast" image scan --no-patch --json big.raw >json 2>err
	) || fail "a large image: $(cat err)"
	[ "$(top zero)" = 131072 ] || fail "a large image of $(top zero) zero pages"
	;;
esac

# refused PATTERN ARGUMENT...: exit code 2, one line that matches, no output.
refused() {
	pattern=$1
	shift
	"$ballast" image scan "$@" >out 2>err </dev/null
	rc=$?
	[ $rc = 2 ] || fail "scan $*: exit code $rc, not 2"
	[ "$(wc -l <err)" = 1 ] || fail "scan $*: not one line: $(cat err)"
	grep -q -- "$pattern" err || fail "scan $*: no '$pattern' in: $(cat err)"
	[ -s out ] && fail "scan $*: output before the error"
}

: >empty
head -c 10000 a.raw >cut.raw
head -c 500000 both.lime >cut.lime
head -c $(($(wc -c <both.lime.zst) / 2)) both.lime.zst >cut.zst
head -c 100 "$ballast" >program
printf '\177ELF' >stub
refused 'empty: at byte 0: the file is empty' empty
refused 'cut.raw: at byte 10000: the image ends 1808 bytes into a page' cut.raw
refused 'cut.raw: at byte 10000: ' a.raw cut.raw b.raw
refused 'cut.lime: at byte 8: .*cut short' cut.lime
refused 'cut.zst: at packed byte .*cut short' --no-patch cut.zst
refused 'program: at byte 16: .*no core' program
refused 'stub: at byte 4: .*cut short' stub
refused 'a.raw: at byte 0: no ELF file' --format elf a.raw
refused 'none.raw: cannot open: No such file' none.raw
refused 'is a directory' .
refused 'no image format is called' --format vmem a.raw
refused 'takes a number from 0 to' --top x a.raw
refused 'takes a number from 0 to' --sample -1 a.raw
refused 'only once' - -
refused 'which images' # none
[ ! -e short.core ] || refused 'short.core: at byte .*cut short' short.core
exit $bad
