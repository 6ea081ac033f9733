#!/bin/sh
# `ballast trace`: every verb on real and on made traces, through files and pipes.
. "$(dirname "$0")/../lib.sh"
data=$PWD/experiments/traces
cd "$work" || exit 1

# trace ARGUMENT...: must exit 0 without a word on standard error (nothing there is a terminal).
trace() {
	"$ballast" trace "$@" 2>err || fail "trace $*: exit code $?: $(cat err)"
	[ -s err ] && fail "trace $*: said: $(cat err)"
}

# says FILE LINE...: each line stands in the file.
says() {
	file=$1
	shift
	for line in "$@"; do
		grep -qF -- "$line" "$file" || fail "$file lacks '$line': $(cat "$file")"
	done
}

# The real traces: the counts are those of whoever recorded them.
zstd -dqc "$data/sqlite.u32.zst" >sqlite.u32
trace import --format u32 sqlite.u32 -o sqlite.bt
trace info sqlite.bt --json >sqlite.json
says sqlite.json '"records": 7000000' '"pages": 99' '"highest_page": 98' '"space": "ppn"' \
	'"format": "bt"' '"vms": 1' '"tick_ns": 1' '"bytes": ' '"provenance": "imported from u32'
trace info --json "$data/xz.u32.zst" >xz.json
says xz.json '"records": 12000000' '"pages": 3650' '"format": "u32"'

# Back again, by every way, to the same bytes.
trace export --format u32 sqlite.bt -o back.u32
cmp sqlite.u32 back.u32 || bad=1
trace import "$data/sqlite.u32.zst" --fixed -o - | trace export --format u32 - -o back.u32
cmp sqlite.u32 back.u32 || bad=1
trace export --format u64 sqlite.bt -o sqlite.u64
trace import sqlite.u64 -o - | zstd -q | trace export --from bt --format u32 - -o - >back.u32
cmp sqlite.u32 back.u32 || bad=1
trace export --format oracleGeneral sqlite.bt -o sqlite.oracleGeneral
[ "$(wc -c <sqlite.oracleGeneral)" = $((24 * 7000000)) ] || fail "oracleGeneral is of another size"
trace info --json sqlite.oracleGeneral >og.json
says og.json '"records": 7000000' '"pages": 99' '"writes": 0'
trace import sqlite.bt --fixed -o fixed.bt
trace info fixed.bt >fixed.txt
says fixed.txt 'bt-fixed' '7000000' '99 distinct'
# Dense by first touch already: renumbering changes nothing.
trace import sqlite.bt --renumber -o dense.bt
trace export --format u32 dense.bt -o back.u32
cmp sqlite.u32 back.u32 || bad=1

# Generators: the same seed, the same file.
trace gen phases -s refs=100000 -s pages=1000 -s seed=3 -o a.bt
trace gen phases -s refs=100000 -s pages=1000 -s seed=3 -o b.bt
trace gen phases -s refs=100000 -s pages=1000 -s seed=4 -o c.bt
cmp a.bt b.bt || bad=1
cmp -s a.bt c.bt && fail "another seed, the same trace"
trace info a.bt --json >a.json
says a.json '"records": 100000' 'ballast trace gen phases refs=100000 pages=1000 seed=3'
for law in sequential uniform zipf phases drift; do
	trace gen $law -s refs=10k -s pages=100 -o - >law.bt
	trace info law.bt --json >law.json
	says law.json '"records": 10000' "ballast trace gen $law refs=10000 pages=100"
done
trace gen mix -s mix='zipf:3 sequential:1' -s refs=10k -s pages=100 --fixed -o mix.bt
trace info mix.bt --json >mix.json
says mix.json '"records": 10000' '"format": "bt-fixed"'

# CSV in, CSV out; cat prints what import reads.
cat >small.csv <<'EOF'
op,page,time_ns,content,vm
r,0x10,1000,,0
w,17,1500,7,1
write,16,99001500,,0
EOF
cat >want.csv <<'EOF'
page,op,time_ns,content,vm
16,read,0,,0
17,write,500,7,1
16,write,99000500,,0
EOF
trace import small.csv -o small.bt
trace cat small.bt >got.csv
cmp want.csv got.csv || bad=1
trace cat - <small.bt >got.csv
cmp want.csv got.csv || bad=1
trace import got.csv -o again.bt
trace cat again.bt --limit 1 >one.csv
head -n 2 want.csv | cmp - one.csv || bad=1
trace cat again.bt --limit 0.001k >one.csv
head -n 2 want.csv | cmp - one.csv || bad=1
trace import small.csv --vm 1 --space vpn -o one.bt
trace info one.bt --json >one.json
says one.json '"writes": 1' '"pages": 1' '"vms": 1' '"space": "vpn"'

# Every op that cat prints is read back.
cat >all.csv <<'EOF'
page,op,time_ns,content,vm
1,read,0,,0
2,write,1,,0
3,write,2,0,0
4,switch,3,,0
5,map,4,6,1
5,unmap,5,6,1
7,file_read,6,8,1
7,file_write,7,8,0
9,dma,30000000,1,0
0,end,30000001,,0
EOF
for form in '' --fixed; do
	# shellcheck disable=SC2086 # none or one word
	trace import $form all.csv -o all.bt
	trace cat all.bt >got.csv
	cmp all.csv got.csv || bad=1
done

# A reader that has seen enough is no error to cat, and one line to export.
trace cat sqlite.bt | head -n 1 >one.csv
says one.csv 'page,op,time_ns'
"$ballast" trace export --format u32 sqlite.bt -o - 2>err | head -c 4 >four
[ "$(wc -l <err)" = 1 ] || fail "export into a closed pipe: $(cat err)"

# lackey, from a pipe, renumbered.
printf '==7== Lackey\nI  04001000,3\n L 1ffefff000,8\n M 1ffefffffc,8\nI  04001004,3\n' |
	trace import --format lackey --renumber - -o l.bt
trace cat l.bt >got.csv
cat >want.csv <<'EOF'
page,op,time_ns,content,vm
0,read,0,,0
1,read,0,,0
1,write,0,,0
2,write,0,,0
0,read,0,,0
EOF
cmp want.csv got.csv || bad=1

# perf script's and DAMON's text, told by their first line; ChampSim's from a pipe.
printf 'ls 7/7  1.5: page-faults: 1000\nls 7/7  1.6: page-faults: 2fff\n' >p.txt
trace import p.txt -o - | trace cat - >got.csv
cat >want.csv <<'EOF'
page,op,time_ns,content,vm
1,read,0,,0
2,read,100000000,,0
EOF
cmp want.csv got.csv || bad=1
printf 'k 1 1.5: damon:damon_aggregated: target_id=0 nr_regions=1 4096-12288: 1 0\n' |
	trace import - -o - | trace cat - >got.csv
says got.csv '1,read,0' '2,read,0'
{ printf '\0\020\100\0\0\0\0\0' && head -c 56 /dev/zero; } | # one fetch, at 0x401000
	trace import --format champsim - -o - | trace cat - >got.csv
says got.csv '1025,read,0'

# stat, as text and as JSON.
trace stat l.bt --json >stat.json
says stat.json '"records": 5' '"read": 3' '"write": 2' '"pages": 3' '"write_ratio": 0.4' \
	'"reuse_ratio": 0.4' '"hottest_10_percent": 0.4'
trace stat l.bt >stat.txt
says stat.txt '40.00 % of 5 touches'

exit $bad
