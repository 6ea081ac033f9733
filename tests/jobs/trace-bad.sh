#!/bin/sh
# Bad traces: one line on standard error, exit code 2, and no file left behind.
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1

# refused PATTERN ARGUMENT...: exit code 2, one line that matches, nothing in out/.
refused() {
	pattern=$1
	shift
	rm -rf out
	mkdir out
	"$ballast" trace "$@" </dev/null >stdout 2>stderr
	rc=$?
	[ $rc = 2 ] || fail "trace $*: exit code $rc: $(cat stderr)"
	[ "$(wc -l <stderr)" = 1 ] || fail "trace $*: not one line: $(cat stderr)"
	grep -q -- "$pattern" stderr || fail "trace $*: no '$pattern' in: $(cat stderr)"
	[ -s stdout ] && fail "trace $*: output although it failed"
	[ -z "$(ls -A out)" ] || fail "trace $*: left $(ls -A out)"
}

"$ballast" trace gen zipf -s refs=200k -s pages=100k -o good.bt || bad=1
"$ballast" trace gen zipf -s refs=2000 -s pages=1000 --fixed -o fixed.bt || bad=1
size=$(wc -c <good.bt)

# .bt: cut, grown, damaged, of a newer version, empty.
head -c $((size / 2)) good.bt >cut.bt
refused 'cut.bt: at byte [0-9]*: .*cut short' import cut.bt -o out/x.bt
refused 'cut.bt: at byte' info cut.bt
{ cat good.bt && printf x; } >grown.bt
refused 'grown.bt: at byte' info grown.bt
cp good.bt hurt.bt
printf '\252\252\252\252' | dd of=hurt.bt bs=1 seek=$((size / 2)) conv=notrunc 2>dd.log
refused 'hurt.bt: at byte [0-9]*: a damaged block' import hurt.bt -o out/x.bt
cp fixed.bt hurt.bt
printf '\252' | dd of=hurt.bt bs=1 seek=5000 conv=notrunc 2>dd.log
refused 'hurt.bt: at byte [0-9]*: the records before are damaged' import hurt.bt -o out/x.bt
head -c 5000 fixed.bt >cut.bt
refused 'cut.bt: at byte' import cut.bt -o out/x.bt
: >empty.bt
refused 'empty.bt: at byte 0' info empty.bt
: >empty.u32
refused 'empty.u32: the file is empty' import empty.u32 -o out/x.bt
refused 'empty.bt: the file is empty' import --format lackey empty.bt -o out/x.bt
zstd -q good.bt -o packed.bt.zst
head -c 10000 packed.bt.zst >cut.bt.zst
refused 'cut.bt.zst: .*cut short' import cut.bt.zst -o out/x.bt
cp packed.bt.zst hurt.bt.zst
printf '\252\252\252' | dd of=hurt.bt.zst bs=1 seek=1000 conv=notrunc 2>dd.log
refused 'hurt.bt.zst: at' import hurt.bt.zst -o out/x.bt

# Text: the line is named.
printf 'page,op,colour\n1,r,2\n' >stray.csv
refused "stray.csv:1: stray column 'colour'" import stray.csv -o out/x.bt
printf 'page,op\n1,r\n1,x\n' >op.csv
refused "op.csv:3: op is 'x': want r, w, read, write, switch, .* or end" import op.csv -o out/x.bt
printf 'page,op\n1,r\n68719476736,r\n' >big.csv
refused 'big.csv:3: page is 68719476736: at most' import big.csv -o out/x.bt
printf 'page\n1\n' >missing.csv
refused 'missing.csv:1: column op is missing' import missing.csv -o out/x.bt
printf ' L 1000,4\nhello world\n' >noise.lackey
refused "noise.lackey:2: 'hello world' is no line of lackey's" import noise.lackey -o out/x.bt
head -c 100000 good.bt >noise.txt
refused 'noise.txt: at byte\|noise.txt:1' import --format lackey noise.txt -o out/x.bt

# Binary without a header.
printf '12345' >five.u32
refused 'five.u32: at byte 4: 1 bytes are left' import five.u32 -o out/x.bt
printf '\377\377\377\377\377\377\377\377' >big.u64
refused 'big.u64: at byte 0: a page number over' import big.u64 -o out/x.bt

# What cannot be said in another format.
printf 'page,op,vm\n1,r,0\n1,r,1\n' >two.csv
refused "two.csv: record 2 is 'vm', which u32 cannot say" export --format u32 two.csv -o out/x.u32

refused 'two.csv: there is no VM 2: it has 2' import --vm 2 two.csv -o out/x.bt

# A record of no kind: input and record are named, and records count from 1.
printf 'page,op,content\n1,w,7\n2,r,\n3,r,\n' >three.csv
"$ballast" trace import --fixed three.csv -o kind.bt || bad=1
printf '\007' | dd of=kind.bt bs=1 seek=336 conv=notrunc 2>dd.log # the word behind an operand
refused "kind.bt: record 2 is of unknown kind 7" cat kind.bt
refused 'kind.bt: record 2: of unknown kind 7' stat kind.bt
"$ballast" trace cat - <kind.bt >stdout 2>stderr
[ $? = 2 ] || fail "cat -: not exit code 2"
grep -q "^ballast: standard input: record 2 is of unknown kind 7" stderr || fail "cat -: $(cat stderr)"

# Usage.
refused 'cannot open' info nosuch.bt
refused 'is a directory' info out
refused 'cannot tell the format' info dd.log
refused "no trace format is called 'u16'" import --format u16 good.bt -o out/x.bt
refused "no trace format to write is called 'u16'" export --format u16 good.bt -o out/x
refused 'which FILE' info
refused 'say -o FILE' import good.bt
refused "did you mean 'info'" inof good.bt
refused 'which law' gen -o out/x.bt
refused "zopf" gen zopf -o out/x.bt
refused "did you mean 'pages'" gen zipf -s page=5 -o out/x.bt
refused 'out of range' gen zipf -s pages=0 -o out/x.bt
refused 'too large' gen zipf -s refs=99999999999999999999 -o out/x.bt
refused 'set_pages = 6 is more than pages = 5' gen phases -s pages=5 -s set_pages=6 -o out/x.bt
refused '--limit' cat --limit x good.bt
refused '--space' import --space mpn good.bt -o out/x.bt
refused '--vm' import --vm -1 good.bt -o out/x.bt

# A disk that is full is a failed run: exit code 1, and it says where.
"$ballast" trace import good.bt -o /dev/full 2>stderr
[ $? = 1 ] || fail "/dev/full: not exit code 1"
grep -q '/dev/full' stderr || fail "/dev/full: $(cat stderr)"

exit $bad
