#!/bin/bash
# What the live host's sharing finds in two real Linux guests, against what
# 'ballast image scan' counts in dumps of their memory, taken at that moment.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=${BUILD:-build}/ballast
work=$(mktemp -d)
export BALLAST_SOCKET=$work/host.sock
trap '"$ballast" host stop >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
bad=0

fail() {
	echo "$*"
	bad=1
}

# number NAME FILE: of a JSON object, the first of that name.
number() {
	sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$2" | head -n 1
}

for need in qemu-system-x86_64 busybox; do
	command -v $need >/dev/null || { echo "skipped: no $need here" && exit 77; }
done
"$ballast" host start -s host.memory=280mb -s share.scan=sequential -s share.rate_vm=8k \
	-s share.rate_total=0 >"$work/out" 2>"$work/err" || {
	grep -q userfaultfd "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	cat "$work/err"
	exit 1
}

# refused WORDS ARGUMENT...: in one line.
refused() {
	words=$1
	shift
	"$ballast" vm dump "$@" >"$work/out" 2>"$work/err" && fail "vm dump $* is not refused"
	[ "$(wc -l <"$work/err")" = 1 ] && grep -q "$words" "$work/err" || fail "vm dump $*: $(cat "$work/err")"
}
refused 'no guest named .a. that runs' a -o "$work/a.img"

for guest in a b; do
	"$ballast" vm start $guest -m 128mb --accel "${LIVE_ACCEL:-auto}" --run 'echo booted; sleep 1000' \
		>"$work/out" 2>"$work/err" || fail "$(cat "$work/out" "$work/err")"
done
for _ in $(seq 120); do
	grep -q booted "$BALLAST_SOCKET.a.log" && grep -q booted "$BALLAST_SOCKET.b.log" && break
	sleep 1
done
refused 'no folder there, and 2 guests need one' a b -o "$work/none"
refused 'No such file' a -o "$work/none/a.img"

# Until sharing finds no more, or nearly: two passes over all pages are six seconds.
before=0
for _ in $(seq 15); do
	sleep 3
	saved=$("$ballast" host status --json | awk '$1 == "\"share_saved\":" { print $2 + 0; exit }')
	[ "$before" -gt 0 ] && [ $((saved - before)) -lt $((saved / 50)) ] && break
	before=$saved
done
# What sharing saves, and what it could by dumps of this moment. They are to be within
# what changes meanwhile: what a guest wrote since the scan last came by, and pages that
# only now are equal. A scan that a busy machine holds up has some looks to catch up.
look() {
	"$ballast" vm dump a b -o "$work" --json >"$work/told" || fail "vm dump: $?"
	"$ballast" image scan --json --no-patch --sample=0 "$work/a.img" "$work/b.img" >"$work/scan" ||
		fail "image scan: $?"
	# A page that its guest never had is a hole, which the scan counts as one more page
	# of zeroes, and which has no frame to be saved.
	unbacked=$(awk '$1 == "\"unbacked\":" { n += $2 } END { print n + 0 }' "$work/told")
	swapped=$(awk '$1 == "\"swapped\":" { n += $2 } END { print n + 0 }' "$work/told")
	saved=$(number share_saved "$work/told")
	pages=$(number pages "$work/scan")
	distinct=$(number distinct "$work/scan")
	found=$((pages - distinct - unbacked))
	off=$((found > saved ? found - saved : saved - found))
	echo "pages $pages, of them never touched $unbacked, different $distinct: by the dumps sharing could save $found, and it saves $saved"
}
for _ in $(seq 5); do
	look
	[ $off -le $((found / 20)) ] && break
	sleep 3
done
[ $off -le $((found / 20)) ] || fail "that is $off apart, more than 5 %"
[ "$swapped" = 0 ] || fail "$swapped pages are swapped"
[ "$found" -gt 10000 ] || fail "the dumps have only $found pages to save"
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
for guest in a b; do
	[ "$(stat -c %s "$work/$guest.img")" = $((128 << 20)) ] || fail "$guest.img: $(stat -c %s "$work/$guest.img") bytes"
done

# Two guests alike: about half of their pages (52 to 59 % in several runs: how many
# pages a boot touches, and so how many of them are zeroes, differs).
echo "of $((pages - unbacked)) pages $((100 * saved / (pages - unbacked))) % are reclaimed"
[ $((100 * saved)) -ge $((45 * (pages - unbacked))) ] || fail "of $((pages - unbacked)) pages only $saved are reclaimed"

# The guests go on.
"$ballast" vm list | grep -c running | grep -qx 2 || fail "$("$ballast" vm list)"
exit $bad
