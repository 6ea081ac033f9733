#!/bin/sh
# A signal ends a command as that signal does, and nothing half-written stays;
# the file that was there before stays whole.
. "$(dirname "$0")/../lib.sh"
dir=$work/dir
mkdir "$dir"

for signal in TERM:143 HUP:129; do
	echo old >"$dir/out.bt"
	"$ballast" trace gen uniform -s refs=1000G -s pages=1000 -o "$dir/out.bt" 2>"$work/err" &
	pid=$!
	tries=0
	until ls "$dir"/.ballast-*.tmp >/dev/null 2>&1; do
		tries=$((tries + 1))
		if [ $tries -gt 200 ] || ! kill -0 $pid 2>/dev/null; then
			echo "no draft was opened" && cat "$work/err"
			kill $pid 2>/dev/null
			exit 1
		fi
		sleep 0.05
	done
	kill -"${signal%:*}" $pid
	wait $pid
	rc=$?
	[ $rc = "${signal#*:}" ] || { echo "SIG${signal%:*}: exit code $rc, not ${signal#*:}" && bad=1; }
	[ "$(ls -A "$dir")" = out.bt ] || { echo "left behind:" && ls -A "$dir" && bad=1; }
	[ "$(cat "$dir/out.bt")" = old ] || { echo "the old file is gone" && bad=1; }
done

# A file at its limit is an error with a message, not a death by SIGXFSZ.
(
	ulimit -f 8
	exec "$ballast" trace gen uniform -s refs=1M -s pages=1000 -o "$dir/out.bt" 2>"$work/err"
)
rc=$?
[ $rc = 1 ] || { echo "file size limit: exit code $rc, not 1" && bad=1; }
grep -q 'limit on file sizes' "$work/err" || { cat "$work/err" && bad=1; }
[ "$(cat "$dir/out.bt")" = old ] || { echo "the old file is gone" && bad=1; }
exit $bad
