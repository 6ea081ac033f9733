#!/bin/bash
# The working set of a Linux guest, estimated by sampling, follows the schedule of
# the toucher in it: once the averages have settled, within 10 % of its memory at
# every look. A settled look is one of the last half of a phase: seven periods or
# more after a fall, where the slow average has 13 % of it left (gain 1/4).
# 400 pages a period: 10 % is then four standard errors and more of one period.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=${BUILD:-build}/ballast
work=$(mktemp -d)
export BALLAST_SOCKET=$work/host.sock
trap '"$ballast" host stop >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
memory=176
phases=${ESTIMATE_PHASES:-20m:4,75m:3,15m:6}
period=${ESTIMATE_PERIOD:-400ms}
pages=${ESTIMATE_PAGES:-400}

for need in qemu-system-x86_64 busybox; do
	command -v $need >/dev/null || { echo "skipped: no $need here" && exit 77; }
done
"$ballast" host start -s host.memory=256mb -s sample.sampler=esx -s sample.period="$period" \
	-s sample.pages="$pages" >"$work/out" 2>"$work/err" || {
	grep -q userfaultfd "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	cat "$work/err"
	exit 1
}
"$ballast" vm start g -m ${memory}mb --accel "${LIVE_ACCEL:-auto}" --run "toucher -r 8 $phases" \
	>"$work/out" 2>&1 || {
	cat "$work/out"
	exit 1
}
log=$BALLAST_SOCKET.g.log

# Each look: how long ago the program began by this machine's clock, and the estimate in pages.
began=
while active=$("$ballast" vm list --json | awk '$1 == "\"active\":" { print $2 + 0; exit }') &&
	[ -n "$active" ]; do
	now=$(date +%s%N)
	line=$(grep -a '^@ballast toucher t=' "$log" | tail -n 1)
	if [ -z "$began" ] && [ -n "$line" ]; then
		t=$(echo "$line" | sed 's/.* t=\([0-9]*\)\.\([0-9]*\).*/\1\2/')
		began=$((now - 10#$t * 1000000))
	fi
	[ -z "$began" ] || echo "$(((now - began) / 1000000)) $active"
	sleep 0.2
done >"$work/looks"
grep -a -q '^@ballast toucher end bad=0' "$log" || {
	echo "the toucher did not end well: $(tail -n 5 "$log")"
	exit 1
}
awk -v phases="$phases" -v memory=$memory '
BEGIN {
	n = split(phases, phase, ",")
	for (i = 1; i <= n; i++) {
		split(phase[i], part, "m:")
		mb[i] = part[1]
		end[i] = end[i - 1] + part[2] * 1000
	}
	at = 1
}
{
	while (at <= n && $1 >= end[at]) at++
	if (at > n) exit
	off = ($2 / 256 - mb[at]) / memory * 100
	all += off * off
	looks++
	# A look may be late by some tenths of a second.
	if ($1 < (end[at - 1] + end[at]) / 2 || $1 > end[at] - 500) next
	settled[at]++
	squares += off * off
	sum[at] += $2 / 256
	if (off * off > worst * worst) worst = off
}
END {
	for (i = 1; i <= n; i++) {
		if (settled[i] < 3) { print "phase " i ": only " settled[i] + 0 " looks"; exit 1 }
		printf "%d MB touched: %.1f MB by the estimate\n", mb[i], sum[i] / settled[i]
		total += settled[i]
	}
	printf "off by %.1f %% of memory (rms), at worst %.1f %%; with what was not settled %.1f %%\n",
		sqrt(squares / total), worst, sqrt(all / looks)
	exit !(worst <= 10 && worst >= -10)
}' "$work/looks"
