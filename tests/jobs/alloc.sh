#!/bin/sh
# `ballast alloc`: the paper's figures, awk's own division of a thousand VMs, and
# every way of being wrong: one line with file, line and figures, and exit code 2.
. "$(dirname "$0")/../lib.sh"
data=$PWD/experiments/claims
cd "$work" || exit 1

# alloc ARGUMENT...: must exit 0 without a word on standard error; its output is in out.
alloc() {
	"$ballast" alloc "$@" >out 2>err || fail "alloc $*: exit code $?: $(cat err)"
	[ -s err ] && fail "alloc $*: said: $(cat err)"
}

# vm NAME KEY: a value of a VM in the JSON.
vm() {
	sed -n "/\"$1\": {/,/}/s/^ *\"$2\": \([^,]*\),*\$/\1/p" out
}

# top KEY: a value of all together.
top() {
	sed -n "s/^  \"$1\": \([^,]*\),*\$/\1/p" out
}

# is GOT WANT WHAT
is() {
	[ "$1" = "$2" ] || fail "$3: $1, not $2"
}

# between LOW HIGH VALUE WHAT
between() {
	awk -v low="$1" -v high="$2" -v v="$3" 'BEGIN { exit !(v >= low && v <= high) }' ||
		fail "$4: $3, not from $1 to $2"
}

# Fig. 7: 179 MB each of 358 without the tax; 101 and 243 of 344 with it, charged 377 and 369.
alloc "$data/fig7.csv" --memory 358mb --tax 0 --json
is "$(vm vm1 target_mb) $(vm vm2 target_mb)" '179.0 179.0' 'no tax'
for tax in 0.75 75% 75.0%; do
	alloc "$data/fig7.csv" --memory 344mb --tax $tax --json
	between 98.98 103.02 "$(vm vm1 target_mb)" 'vm1 with the tax'
	between 238.14 247.86 "$(vm vm2 target_mb)" 'vm2 with the tax'
	between 369.46 384.54 "$(vm vm1 charged_mb)" 'charged for vm1'
	between 361.62 376.38 "$(vm vm2 charged_mb)" 'charged for vm2'
	is "$(top tax) $(top policy)" '0.75 "esx"' 'tax and policy'
done
between 6.8632 6.8633 "$(vm vm1 price)" 'price, 2560 shares for 373 MB'
cp out explicit
alloc --json --memory 352256kb - <"$data/fig7.csv"
cmp out explicit || fail 'by default, and through a pipe, it is another result'

# For a person: the same numbers.
alloc "$data/fig7.csv" --memory 344mb
grep -qE '^vm1 +2560 +0\.0 +256\.0 +9\.0 +100\.0 +91\.0 +373\.0 +6\.863$' out || fail "table: $(cat out)"
grep -q '^esx: 344.0 MB of 344.0 MB given; tax 75 %, an idle page is charged as 4$' out ||
	fail "table: $(cat out)"

# Every policy of the list, by name; what each leaves. mrc needs more than a table has.
for policy in $("$ballast" list alloc | sed -n 's/^    \([a-z]*\) .*/\1/p'); do
	[ "$policy" = mrc ] && continue
	alloc "$data/fig8.csv" --memory 1000mb --policy "$policy" --json
	echo "$policy $(top target_mb)"
done >sums
printf 'esx 1000.0\nshares 1000.0\nequal 1000.0\nnone 1472.0\n' >want
grep -v mom sums | diff - want || fail 'sums by policy'
is "$(grep -c '^mom ' sums)" 1 'lines of mom'
alloc "$data/fig8.csv" --memory 1500mb --json
is "$(top target_mb) $(top free_mb)" '1472.0 28.0' 'memory to spare'

# A thousand VMs without limits or tax: awk divides by shares; a page is 1/256 MB.
awk 'BEGIN {
	srand(5)
	print "shares,name,active_mb,max_mb,min_mb"
	for (i = 0; i < 1000; i++) print 1 + int(rand() * 1000) ",vm" i ",0,100000,0"
}' >many.csv
alloc many.csv --memory 50000mb --policy shares --json
sed -n 's/^    "\(vm[0-9]*\)": {$/\1/p; s/^ *"target_mb": \([0-9.]*\),*$/\1/p' out |
	awk '/^vm/ { name = $1; next } name { print name, $1 }' >targets
awk -F, '
NR == FNR { split($0, t, " "); target[t[1]] = t[2]; next }
FNR > 1 { shares[$2] = $1; all += $1 }
END {
	for (v in shares) {
		n++
		sum += target[v]
		off = target[v] * 256 - 50000 * 256 * shares[v] / all
		if (off <= -1 || off >= 1) { print v ": off by " off " pages"; exit 1 }
	}
	if (n != 1000 || sum != 50000) { print n " VMs have " sum " MB"; exit 1 }
}' targets many.csv || fail 'another division than by awk'

# 10,000 VMs through a pipe.
awk 'BEGIN {
	print "name,min_mb,max_mb,shares,active_mb"
	for (i = 0; i < 10000; i++) print "vm" i "," i % 7 "," 100 + i % 50 "," i % 9 "," i % 90
}' | "$ballast" alloc - --memory 800gb --json >out 2>err || fail "10,000 VMs: $(cat err)"
is "$(top vms)" 10000 'VMs'

# refused PATTERN ARGUMENT...: exit code 2, one line that matches, no output.
refused() {
	pattern=$1
	shift
	"$ballast" alloc "$@" >out 2>err </dev/null
	rc=$?
	[ $rc = 2 ] || fail "alloc $*: exit code $rc, not 2"
	[ "$(wc -l <err)" = 1 ] || fail "alloc $*: not one line: $(cat err)"
	grep -q -- "$pattern" err || fail "alloc $*: no '$pattern' in: $(cat err)"
	[ -s out ] && fail "alloc $*: output before the error"
}

# row PATTERN ROW: this row after a good one is refused, in line 3.
row() {
	printf 'name,min_mb,max_mb,shares,active_mb\nweb,10,100,50,1\n%s\n' "$2" >row.csv
	refused "row.csv:3: $1" row.csv --memory 200mb
}

row "'db': the minimum of 300 MB is above the maximum of 200.5 MB" db,300,200.5,1,0
row 'shares are -5: 0 or more; 0 means exactly min_mb' db,0,100,-5,0
row 'min_mb is -1: a size cannot be negative' db,-1,100,5,0
row "'db': 101 MB active is more than the maximum of 100 MB" db,0,100,5,101
row "the minimum of 'db' does not fit: all minimums add up to 201 MB, 1 MB more than the memory of 200 MB" db,191,250,5,0
row "the name 'web' is taken since line 2" web,0,100,5,0
row 'fewer than the 5 fields' db,0,100,5
row 'more than the 5 fields' db,0,100,5,0,7
row "max_mb is 'lots': want MB" db,0,lots,5,0
row 'the name is empty' ,0,100,5,0
printf 'name,min,max_mb,shares,active_mb\n' >stray.csv
refused "stray.csv:1: there is no column 'min'; did you mean 'min_mb'" stray.csv --memory 1gb
: >empty.csv
refused 'empty.csv: the file is empty; its first line should be name,min_mb' empty.csv --memory 1gb
refused 'standard input: the file is empty' - --memory 1gb
head -n 1 "$data/fig7.csv" >head.csv
refused 'head.csv:1: no VM follows' head.csv --memory 1gb
refused 'none.csv: cannot open: No such file' none.csv --memory 1gb
refused '\.: is a directory' . --memory 1gb
head -c 3000 /dev/zero | tr '\0' x >long.csv
refused 'long.csv:1: the line is longer than 1000 bytes' long.csv --memory 1gb
head -c 20 /dev/zero >zero.csv
refused 'zero.csv:1: a byte of 0' zero.csv --memory 1gb

fig7=$data/fig7.csv
refused '--tax: 1 is not from 0 to below 1' "$fig7" --memory 1gb --tax 1
refused '--tax: 100% is not from 0 to below 1' "$fig7" --memory 1gb --tax 100%
refused '--tax: -0.1 is not from 0' "$fig7" --memory 1gb --tax=-0.1
refused "--tax: 'high' is not a number" "$fig7" --memory 1gb --tax high
refused '--tax: 0.1234567 has more than six decimals' "$fig7" --memory 1gb --tax 0.1234567
refused "no policy 'exs'; did you mean 'esx'" "$fig7" --memory 1gb --policy exs
refused '--policy: mrc divides by miss curves' "$fig7" --memory 1gb --policy mrc
refused '--memory: .*no unit' "$fig7" --memory 1xb
refused '--memory: 5 is less than a page' "$fig7" --memory 5
refused 'how much memory' "$fig7"
refused 'which table of claims' --memory 1gb
refused 'one table of claims at a time' "$fig7" "$fig7" --memory 1gb
exit $bad
