#!/bin/sh
# The balloon module under a kernel that watches itself (lockdep, KASAN, checks of
# lists, objects and pages: tests/kernel/debug.config), built here from
# KERNEL_SOURCE, an unpacked Linux, into KERNEL_BUILD (build-kernel), which takes
# 10 to 30 minutes of a core the first time. Then what tests/live does with the
# module in a guest, with 50 rounds of loading, inflating and unloading. By hand:
# `make check-lockdep KERNEL_SOURCE=FOLDER`.
set -eu
cd "$(dirname "$0")/../.."
source=${KERNEL_SOURCE:-}
[ -e "$source/scripts/kconfig/merge_config.sh" ] || {
	echo "give KERNEL_SOURCE=FOLDER, an unpacked Linux of 6.1 or newer (apt-get install" \
		"linux-source flex bison libelf-dev, and unpack /usr/src/linux-source-*.tar.xz)" >&2
	exit 2
}
source=$(realpath "$source")
folder=$(realpath -m "${KERNEL_BUILD:-build-kernel}")
jobs=${JOBS:-$(nproc)}
unset MAKEFLAGS MAKELEVEL
mkdir -p "$folder"
log=$folder/build.log
kernel() {
	make -C "$source" O="$folder" "$@" >>"$log" 2>&1 || {
		echo "no kernel: $(grep -m 1 -iE 'error[:!]|not found' "$log"); all is in $log" >&2
		exit 1
	}
}

: >"$log"
[ -e "$folder/.config" ] || kernel tinyconfig
"$source/scripts/kconfig/merge_config.sh" -m -O "$folder" "$folder/.config" tests/kernel/debug.config >>"$log"
kernel olddefconfig
grep '^CONFIG' tests/kernel/debug.config | while read -r option; do
	grep -qxF "$option" "$folder/.config" || echo "this kernel has no $option"
done
kernel -j"$jobs" bzImage modules
bad=0
export BALLOON_KERNEL=$folder BALLOON_ROUNDS="${BALLOON_ROUNDS:-50}" BALLOON_SECONDS="${BALLOON_SECONDS:-1200}"
for test in balloon hibernate; do
	"${BUILD:-build}/tests/live/$test" >"$folder/$test.log" 2>&1 || bad=1
	cat "$folder/$test.log"
	grep -q 'lockdep watched' "$folder/$test.log" || bad=1
done
exit $bad
