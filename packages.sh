#!/bin/sh
# Installs the Debian packages of the groups named, where missing:
#   ./packages.sh build test
# As root, or through sudo where that asks no password; otherwise says in one
# line what to install.
set -eu
list=$(dirname "$0")/packages.txt
command -v dpkg-query >/dev/null 2>&1 || exit 0 # not Debian: the compiler will say what is missing
missing=
for group in "$@"; do
	for package in $(awk -v g="$group" '$1 == g { print $2 }' "$list"); do
		case " $missing " in *" $package "*) continue ;; esac
		dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
			missing="$missing $package"
	done
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
	sudo=
elif sudo -n true 2>/dev/null; then
	sudo=sudo
else
	echo "ballast: these packages are missing; as root, run: apt-get install$missing" >&2
	exit 1
fi
echo "ballast: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086 # a list of words
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
