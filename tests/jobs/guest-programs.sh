#!/bin/bash
# The programs for Linux guests (live/guest/), run here: what they tell, what they
# refuse, and that they find what is wrong.
. "$(dirname "$0")/../lib.sh"
programs=$build/guest/static

# tells LOG NAME KEY...: lines of the form, a second apart or more, that add up, and a last one.
tells() {
	local log=$1 name=$2
	shift 2
	awk -v name="$name" -v keys="$*" '
	function wrong(why) { print FILENAME ":" FNR ": " why ": " $0; failed = 1 }
	{ delete v; for (i = 3; i <= NF; i++) { split($i, kv, "="); v[kv[1]] = kv[2] } }
	$1 != "@ballast" || $2 != name { wrong("not of " name); next }
	$3 == "end" { ended++; if (v["bad"] != 0) wrong("bad"); next }
	{
		if (ended || v["t"] !~ /^[0-9]+\.[0-9][0-9][0-9]$/ || v["t"] + 0 < at + 0.5) wrong("time")
		if ((sum += v["ops"]) != v["done"] || v["ops"] == 0) wrong("sum")
		if (v["steal_ms"] !~ /^[0-9]+$/) wrong("steal")
		n = split(keys, key, " ")
		for (i = 1; i <= n; i++) if (!(key[i] in v)) wrong("no " key[i])
		at = v["t"]
		lines++
	}
	END { if (ended != 1 || lines < 1) { print name ": " lines + 0 " lines, " ended + 0 " ends"; failed = 1 }
	      exit failed }' "$log" || bad=1
}

# refused COMMAND...: it says how it is used.
refused() {
	"$@" >"$work/out" 2>"$work/err"
	local got=$?
	[ $got = 2 ] || fail "$*: exit code $got"
	grep -q '^usage: ' "$work/err" || fail "$*: says $(head -c 200 "$work/err")"
}

# What `ballast list` says that there is, there is.
for name in $("$build/ballast" list program | awk '/^    [a-z]/ { print $1 }'); do
	[ -x "$programs/$name" ] || fail "there is no $name"
	# In a guest it would hide the other.
	[ -x /bin/busybox ] && /bin/busybox --list | grep -qx "$name" &&
		fail "busybox has a $name, too"
	listed=1
done
[ -n "${listed:-}" ] || fail "no programs are listed"

refused "$programs/toucher"
for schedule in 4m 4m:0 '4m:1,' 4m:1,4 4:1 5b:1 4m:99999999 99999999999g:1 4m:1x; do
	refused "$programs/toucher" $schedule
done
refused "$programs/fileserver"
for wrong in '-c 0' '-c 300' '-m 5' '-m 0m' '-s 0' '-x' '-s 1 a b'; do
	# shellcheck disable=SC2086 # words
	refused "$programs/fileserver" $wrong "$work"
done

refused "$programs/kv" -v 17
refused "$programs/kv" -m 4k -c 8
refused "$programs/kv" -g 101
refused "$programs/kv" -z nan
refused "$programs/web"
refused "$programs/web" -z -1 "$work"

mkdir "$work/files" "$work/broken" "$work/pages" "$work/spoilt"
"$programs/toucher" -f -r 4 8m:2,2m:1 >"$work/toucher" &
"$programs/fileserver" -c 3 -m 3m -s 2 -f "$work/files" >"$work/fileserver" &
"$programs/fileserver" -c 1 -m 3m -s 3 "$work/broken" >"$work/broken.log" &
broken=$!
"$programs/kv" -c 3 -m 2m -g 50 -s 2 >"$work/kv" &
"$programs/web" -c 3 -m 2m -s 2 "$work/pages" >"$work/web" &
"$programs/web" -c 1 -m 1m -z 0 -s 3 "$work/spoilt" >"$work/spoilt.log" &
spoilt=$!
for _ in $(seq 100); do
	grep -qs 't=1' "$work/broken.log" && grep -qs 't=1' "$work/spoilt.log" && break
	sleep 0.1
done
# One mark of each file that is there does not hold any more.
for file in "$work"/broken/0/*; do
	printf 'XXXXXX' | dd of="$file" bs=1 seek=4090 conv=notrunc,nocreat 2>/dev/null
done
for file in "$work"/spoilt/*; do
	truncate -s -8 "$file"
done
wait $spoilt && fail "a web load whose files were cut found nothing"
grep -q '^@ballast web end bad=[1-9]' "$work/spoilt.log" || fail "$(cat "$work/spoilt.log")"
wait $broken && fail "a fileserver whose files were changed found nothing"
grep -q '^@ballast fileserver end bad=[1-9]' "$work/broken.log" || fail "$(cat "$work/broken.log")"
wait
tells "$work/toucher" toucher phase size_kb
tells "$work/kv" kv mb_s keys
tells "$work/web" web mb_s files
tells "$work/fileserver" fileserver mb_s clients set_mb
[ "$(sed -n 's/.* done=\([0-9]*\) .*/\1/p' "$work/toucher" | tail -n 1)" -ge 2560 ] ||
	fail "the toucher touched less than its schedule: $(cat "$work/toucher")"
exit $bad
