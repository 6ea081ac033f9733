#!/bin/sh
# The guest's kernel module builds against the distribution's headers, without a
# warning, with W=1 and with sparse where that is there.
set -u
cd "$(dirname "$0")/../.." || exit 1
case ${BUILD:-build} in
*san*)
	echo "skipped: a kernel module has no such build"
	exit 77
	;;
esac
headers=$(find /lib/modules -maxdepth 2 -name build 2>/dev/null | sort | tail -n 1)
if [ -z "$headers" ] || [ ! -e "$headers/Makefile" ]; then
	echo "skipped: no kernel headers: apt-get install linux-headers-amd64"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cp balloon/linux/Kbuild balloon/linux/Makefile balloon/linux/dkms.conf balloon/linux/*.[ch] \
	balloon/protocol.h "$work"
check=
command -v sparse >/dev/null && check=C=2
make -C "$work" KDIR="$headers" W=1 $check >"$work/log" 2>&1 || {
	tail -n 30 "$work/log"
	exit 1
}
grep -E 'warning|error' "$work/log" && exit 1
[ -e "$work/ballast_balloon.ko" ] || exit 1
modinfo -F license "$work/ballast_balloon.ko" | grep -qx GPL || exit 1
modinfo -F parm "$work/ballast_balloon.ko" | sed 's/:.*//' | sort >"$work/parameters"
sed -n 's/^| `\([a-z_]*\)` | [^|]* | .*/\1/p' docs/balloon.md | sort | comm -13 - "$work/parameters" >"$work/untold"
[ ! -s "$work/untold" ] || {
	echo "docs/balloon.md does not tell of: $(cat "$work/untold")"
	exit 1
}
