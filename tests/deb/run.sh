#!/bin/sh
# The package in a fresh Debian: installed by apt with what it depends on, its
# first experiment run there, removed without a trace. Needs root, debootstrap
# and the mirror that this machine has its packages from; skips without them.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
skip() {
	echo "skipped: $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "not root"
command -v debootstrap >/dev/null || skip "no debootstrap here"
deb=$(ls "$build"/ballast_*.deb 2>/dev/null | tail -n 1)
[ -n "$deb" ] || skip "no package: make deb"
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
	sed -nE 's/^(deb|URIs:)[^h]*(https?:[^ ]*).*/\2/p' | grep -v security | head -n 1)
[ -n "$codename" ] && [ -n "$mirror" ] || skip "no mirror is known"

root=$(mktemp -d)
trap 'umount "$root/root/proc" 2>/dev/null; rm -rf --one-file-system "$root"' EXIT
trap 'exit 130' INT TERM
debootstrap --variant=minbase "$codename" "$root/root" "$mirror" >"$root/log" 2>&1 || {
	tail -n 3 "$root/log"
	skip "debootstrap cannot make a root from the mirror"
}
bad=0
fail() {
	echo "$*"
	bad=1
}
in_root() {
	chroot "$root/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"
}
mount -t proc proc "$root/root/proc"
cp /etc/resolv.conf /etc/hosts "$root/root/etc/" 2>/dev/null
cp -R /etc/apt/apt.conf.d/. "$root/root/etc/apt/apt.conf.d/"
cp "$deb" "$root/root/tmp/ballast.deb"
in_root dpkg-query -W -f '${Package}\n' | sort >"$root/before"
(in_root apt-get update -qq && in_root apt-get install -y -qq --no-install-recommends /tmp/ballast.deb) >"$root/log" 2>&1 || {
	tail "$root/log"
	fail "apt-get install failed"
}
in_root sh -c 'cd /root && ballast reproduce esx-fig4' >"$root/out" 2>&1 || fail "ballast reproduce: $(tail -n 3 "$root/out")"
grep -q 'expectations: 25 of 25 hold' "$root/out" || fail "no verdict: $(tail -n 5 "$root/out")"
[ -s "$root/root/root/results/index.html" ] || fail "no report"
in_root sh -c 'cd / && dpkg -V ballast' || fail "files are not as packed"
in_root apt-get purge -y -qq ballast >"$root/log" 2>&1 || fail "apt-get purge failed: $(tail -n 3 "$root/log")"
left=$(find "$root/root/usr" "$root/root/etc" "$root/root/var/lib/dpkg/info" -name '*ballast*')
[ -z "$left" ] || fail "left behind: $left"
[ $bad = 0 ] && echo "installed, run and removed in a fresh $codename"
exit $bad
