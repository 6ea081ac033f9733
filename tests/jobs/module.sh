#!/bin/sh
# The guest's kernel module: it builds against the distribution's headers without
# a warning, with W=1 and with sparse where that is there; `ballast module` builds
# it in a tree and from an installation, installs it below a root, tells what is
# there, and refuses what it cannot do in one line.
. "$(dirname "$0")/../lib.sh"
not_in '*san*' "a kernel module has no such build"
headers=$(find /lib/modules -maxdepth 2 -name build 2>/dev/null | sort | tail -n 1)
[ -e "${headers:-none}/Makefile" ] || skip "no kernel headers: apt-get install linux-headers-amd64"
release=$(basename "$(dirname "$headers")")
mkdir "$work/src"
cp balloon/linux/Kbuild balloon/linux/Makefile balloon/linux/dkms.conf balloon/linux/*.[ch] \
	balloon/protocol.h "$work/src"
check=
command -v sparse >/dev/null && check=C=2
(unset MAKEFLAGS MAKELEVEL && make -C "$work/src" KDIR="$headers" W=1 $check) >"$work/log" 2>&1 || {
	tail -n 30 "$work/log"
	exit 1
}
grep -E 'warning|error' "$work/log" && exit 1
ko=$work/src/ballast_balloon.ko
modinfo -F license "$ko" | grep -qx GPL || fail "not under the GPL"
modinfo -F parm "$ko" | sed 's/:.*//' | sort >"$work/parameters"
sed -n 's/^| `\([a-z_]*\)` | [^|]* | .*/\1/p' docs/balloon.md | sort | comm -13 - "$work/parameters" >"$work/untold"
[ -s "$work/untold" ] && fail "docs/balloon.md does not tell of: $(cat "$work/untold")"
for version in "$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' balloon/linux/dkms.conf)" "$(modinfo -F version "$ko")"; do
	[ "$version" = "$(sed -n 's/^VERSION := //p' Makefile)" ] || fail "version $version is not ballast's"
done

# In a tree, and as installed: the program finds the sources from where it lies.
mkdir -p "$work/tree/build" "$work/tree/balloon" "$work/opt/bin" "$work/opt/share/ballast"
cp build/ballast "$work/tree/build/" && cp build/ballast "$work/opt/bin/"
cp -R balloon/linux balloon/protocol.h "$work/tree/balloon/"
cp -R balloon/linux "$work/opt/share/ballast/module" && cp balloon/protocol.h "$work/opt/share/ballast/module/"
# run WANTED PROGRAM ARGUMENT...: with that exit code; at most one line of complaints.
run() {
	wanted=$1 program=$work/$2
	shift 2
	XDG_CACHE_HOME=$work/cache "$program" module "$@" >"$work/out" 2>"$work/err"
	rc=$?
	[ $rc = "$wanted" ] || fail "module $*: $rc, not $wanted: $(cat "$work/err")"
	[ "$(wc -l <"$work/err")" = "$([ "$wanted" = 0 ] && echo 0 || echo 1)" ] || fail "module $*: says $(cat "$work/err")"
}
says() {
	grep -qF "$1" "$work/err" || fail "no word of '$1': $(cat "$work/err")"
}
run 0 tree/build/ballast build --kernel "$release"
[ "$(cat "$work/out")" = "$work/tree/build/module/$release/ballast_balloon.ko" ] || fail "built: $(cat "$work/out")"
[ "$(modinfo -F vermagic "$(cat "$work/out")")" = "$(modinfo -F vermagic "$ko")" ] || fail "for another kernel"
[ "$(find "$work/tree/build/module/$release" -type f | wc -l)" = 1 ] || fail "left beside it: $(ls "$work/tree/build/module/$release")"
if [ "$(id -u)" = 0 ]; then
	run 0 opt/bin/ballast install --kernel "$release" --root "$work/root"
	installed=$(cat "$work/out")
	[ -e "$installed" ] || fail "installed as '$installed'"
	depmod=$(sed -n 's/:.*//p' "$work/root/lib/modules/$release/modules.dep")
	[ "$work/root/lib/modules/$release/$depmod" = "$installed" ] || fail "modprobe would take '$depmod'"
	grep -q 'ballast_balloon' "$work/root/lib/modules/$release/modules.alias" || fail "no alias for the device"
	run 2 opt/bin/ballast install --kernel "$release" --root "$work/root" --dkms
fi
sed -i '1i no C at all' "$work/opt/share/ballast/module/sysfs.c"
run 1 opt/bin/ballast build --kernel "$release"
says 'sysfs.c:1:'
says "$work/cache/ballast/module/$release/log"
run 1 tree/build/ballast build --kernel 1.2.3-none
says 'apt-get install linux-headers-1.2.3-none'
says "$release"
run 2 tree/build/ballast build --kernel ../x
run 2 tree/build/ballast build x
rm -r "$work/opt/share/ballast/module"
run 1 opt/bin/ballast build --kernel "$release"
says 'share/ballast/module'

# What it tells of a machine: this root has a kernel, and a module with one balloon.
sys=$work/root/sys/module/ballast_balloon
device=$work/root/sys/bus/pci/drivers/ballast_balloon/0000:00:04.0
mkdir -p "$sys/parameters" "$device" "$work/root/lib/modules/9.9-none"
echo 0.1.0 >"$sys/version" && echo 16 >"$sys/parameters/reserve_mb"
echo talking >"$device/talk" && echo 32768 >"$device/target" && echo 30000 >"$device/size" && echo 7 >"$device/host_state"
run 0 tree/build/ballast status --root "$work/root"
grep -qE '^9.9-none +no +no +no$' "$work/out" || fail "status: $(cat "$work/out")"
grep -qx 'loaded, version 0.1.0: reserve_mb=16' "$work/out" || fail "status: $(cat "$work/out")"
grep -q '^0000:00:04.0: talking, target 32768, holds 30000 ' "$work/out" || fail "status: $(cat "$work/out")"
[ "$(id -u)" != 0 ] || grep -qE "^$release +no +yes +yes$" "$work/out" || fail "status: $(cat "$work/out")"
run 0 tree/build/ballast status --root "$work/root" --json
grep -q '"host_state": "7"' "$work/out" || fail "status: $(cat "$work/out")"
run 0 tree/build/ballast status
exit $bad
