# shellcheck shell=sh disable=SC2034 # sourced; what it sets is for the tests
# What the shell tests begin with, sourced from a folder below this one:
#
#   . "$(dirname "$0")/../lib.sh"
#
# Leaves the tree's root as the working folder; $ballast, the program of this build
# (BUILD); $work, a folder that goes away at the end; and the functions below. A test
# that has called fail cannot pass, whatever it ends with.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
ballast=$PWD/$build/ballast
work=$(mktemp -d) || exit 1
bad=0

finish() {
	rc=$?
	rm -rf "$work"
	[ $rc = 0 ] && [ "$bad" != 0 ] && rc=1
	exit $rc
}
trap finish EXIT
trap 'exit 130' INT TERM

# fail WORD...: tells what is wrong, and goes on.
fail() {
	echo "$*"
	bad=1
}

# skip WORD...: ends the test, which did not run, with the reason.
skip() {
	echo "skipped: $*"
	exit 77
}

# not_in PATTERN WORD...: skips in builds of that name, as *san*.
not_in() {
	# shellcheck disable=SC2254 # a pattern
	case $build in
	$1) ;;
	*) return ;;
	esac
	shift
	skip "$*"
}
