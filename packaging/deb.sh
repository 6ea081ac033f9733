#!/bin/sh
# Makes BUILD/ballast_VERSION-1_ARCH.deb: `make install` into a folder, packed.
# What libraries it depends on is read from the program (dpkg-shlibdeps). The
# same tree gives the same bytes: times are those of the last commit, or of
# SOURCE_DATE_EPOCH.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
version=$VERSION-1
arch=$(dpkg --print-architecture)
deb=$build/ballast_${version}_$arch.deb
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
umask 022
root=$work/root
[ -n "${SOURCE_DATE_EPOCH:-}" ] ||
	SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) || SOURCE_DATE_EPOCH=$(stat -c %Y Makefile)
export SOURCE_DATE_EPOCH

(unset MAKEFLAGS MAKELEVEL && make -s install DESTDIR="$root" PREFIX=/usr)
strip --strip-unneeded "$root/usr/bin/ballast" "$root"/usr/lib/ballast/*.so
gzip -9n "$root"/usr/share/man/man1/*.1
docs=$root/usr/share/doc/ballast
mv "$docs/LICENSE" "$docs/copyright"
printf 'ballast (%s) unstable; urgency=low\n\n  * Built from its source tree.\n\n -- Ballast <ballast@localhost>  %s\n' \
	"$version" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$docs/changelog.Debian.gz"
chmod 0644 "$docs/changelog.Debian.gz"

# dpkg-shlibdeps wants a source package around it.
mkdir "$work/debian"
printf 'Source: ballast\n\nPackage: ballast\nArchitecture: any\n' >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O root/usr/bin/ballast root/usr/lib/ballast/*.so 2>/dev/null |
	sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || {
	echo "packaging/deb.sh: dpkg-shlibdeps says nothing of build/ballast" >&2
	exit 1
}

mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<END
Package: ballast
Version: $version
Architecture: $arch
Maintainer: Ballast <ballast@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f 1)
Depends: $depends, gnuplot-nox
Suggests: qemu-system-x86, valgrind
Section: science
Priority: optional
Description: the memory manager of VMware ESX Server as a research testbed
 An open re-implementation of the memory management that C. Waldspurger
 described at OSDI 2002: ballooning, content-based page sharing, the
 idle-memory tax and host-level swapping, run on recorded or generated page
 traces. 'ballast reproduce' repeats the paper's experiments.
END
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\n' | LC_ALL=C sort |
	xargs md5sum >DEBIAN/md5sums)
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$deb" >/dev/null
echo "$deb"
