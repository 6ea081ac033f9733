#!/bin/sh
# Exactness: on traces of real programs LRU and FIFO miss exactly as often as
# another simulator counted, at every size; and what came in from swap is what
# was not a first touch.
. "$(dirname "$0")/../lib.sh"
rows=0

# value NAME: of the one VM, from the JSON in $work/json.
value() {
	sed -n "s/^ *\"$1\": \([0-9]*\),*\$/\1/p" "$work/json"
}

# same WHAT GOT WANTED
same() {
	[ "$2" = "$3" ] && return
	echo "$trace, $frames frames, $victim: $1 $2, not $3"
	bad=1
}

# check VICTIM MISSES: replays $trace in $frames frames.
check() {
	victim=$1
	rows=$((rows + 1))
	"$ballast" run experiments/jobs/replay.job -s "vm.a.trace=experiments/traces/$trace.u32.zst" \
		-s "host.frames=$frames" -s host.thresholds=none -s "swap.victim=$victim" --json \
		>"$work/json" || bad=1
	same refs "$(value refs)" "$refs"
	same faults "$(value faults)" "$2"
	same zero_fills "$(value zero_fills)" "$pages"
	same swap_ins "$(value swap_ins)" "$(($2 - pages))"
	same pages "$(value pages)" "$pages"
}

while read -r trace refs pages frames lru fifo; do
	[ "$trace" = trace ] && continue
	case ${BUILD:-build}:$trace:$frames in
	*san*:sqlite:24 | *san*:xz:2048) ;; # a look is enough where all is slow
	*san*) continue ;;
	esac
	check lru "$lru"
	check fifo "$fifo"
done <tests/data/misses.tsv
case ${BUILD:-build} in
*san*) same 'rows' $rows 4 ;;
*) same 'rows' $rows 32 ;;
esac
exit $bad
