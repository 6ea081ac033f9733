#!/bin/sh
# Form and faults that tools find: clang-format, clang-tidy, cppcheck, shell
# syntax, manual page, includes. Everything that git knows, or the files named. Says
# nothing when clean.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
jobs=$(nproc)
if [ $# -gt 0 ]; then
	sources=$(printf '%s\n' "$@" | grep '\.[ch]$')
else
	sources=$(git ls-files '*.c' '*.h')
fi
# The kernel module is built by a compiler of its own, with sparse: tests/jobs/module.sh.
units=$(echo "$sources" | grep '\.c$' | grep -v '^balloon/linux/')
scripts=$(git ls-files '*.sh' .ci/run)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

# shellcheck disable=SC2086 # lists of words, here and below
clang-format --dry-run -Werror $sources || bad=1

# One file per process: version 14 takes every va_list for unset from the second on.
flags='-std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DBALLAST_VERSION="0" -I. -Itests'
# Where the module's own headers are read, what they need lies there.
flags="$flags -idirafter tests/kernel -idirafter balloon"
echo "$units" | FLAGS="$flags" xargs -P "$jobs" -n 1 sh -c \
	'clang-tidy --quiet "$1" -- $FLAGS 2>/dev/null' tidy >"$log" || {
	cat "$log"
	bad=1
}

cppcheck --quiet -j "$jobs" --enable=warning,portability,performance --error-exitcode=1 \
	--inline-suppr --std=c11 --suppress=missingIncludeSystem -I. -Itests \
	-D_GNU_SOURCE -DBALLAST_VERSION='"0"' $units || bad=1

for script in $scripts; do
	sh -n "$script" || bad=1
done
if command -v shellcheck >/dev/null 2>&1; then
	shellcheck -x -P SCRIPTDIR --severity=warning $scripts || bad=1
fi
mandoc -T lint -W warning docs/*.1 || bad=1
tests/layers.sh || bad=1
exit $bad
