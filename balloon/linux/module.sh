#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Builds the balloon module out of a copy of this folder, and installs it:
#   module.sh build RELEASE FOLDER    leaves ballast_balloon.ko in the folder
#   module.sh install RELEASE ROOT    for that kernel, below ROOT ("": this machine)
#   module.sh dkms RELEASE            by DKMS, which builds it again for each new kernel
# If something fails the last line on standard error says what.
set -eu
unset MAKEFLAGS MAKELEVEL
verb=$1 release=$2 to=${3:-}
here=$(cd "$(dirname "$0")" && pwd)

# need PROGRAM PACKAGE
need() {
	command -v "$1" >/dev/null && return
	echo "there is no $1: apt-get install $2" >&2
	exit 1
}
need make make
[ "$verb" != dkms ] || need dkms dkms
[ "$verb" = build ] && mkdir -p "$to"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
protocol=$here/protocol.h
[ -e "$protocol" ] || protocol=$here/../protocol.h
cp "$here/Kbuild" "$here/Makefile" "$here/dkms.conf" "$here"/*.[ch] "$protocol" "$work"

# quietly COMMAND...: what it prints is kept; the first error in it is what failed.
quietly() {
	"$@" >"$work/log" 2>&1 && return
	what=$(grep -m 1 -iE 'error[:!]|not found' "$work/log") || what=$(tail -n 1 "$work/log")
	if [ "$verb" = build ]; then
		mv "$work/log" "$to/log"
		what="$what; all that was said is in $to/log"
	fi
	echo "$what" >&2
	exit 1
}

case $verb in
dkms) quietly make -C "$work" KVERSION="$release" dkms_install ;;
build | install)
	quietly make -C "$work" KVERSION="$release" modules
	strip -g "$work/ballast_balloon.ko"
	;;
esac
case $verb in
build)
	rm -f "$to/log"
	cp "$work/ballast_balloon.ko" "$to/ballast_balloon.ko.$$"
	mv "$to/ballast_balloon.ko.$$" "$to/ballast_balloon.ko"
	;;
install)
	quietly make -C "$work" KVERSION="$release" INSTALL_MOD_PATH="$to" modules_install
	quietly depmod -b "$to/" "$release"
	;;
esac
