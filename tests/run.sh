#!/bin/sh
# Runs every test of one build folder (BUILD=build), JOBS at a time (as many as there
# are cores), and ends with a line of counts; `tests/run.sh live`: those with live
# guests, one at a time; `tests/run.sh slurm`: on a Slurm. A program passes with 0,
# skips with 77, and has 300 s, after which it failed.
set -u
cd "$(dirname "$0")/.." || exit 1
export BUILD="${BUILD:-build}"

# one TEST FOLDER: runs it, tells of it in a piece, and leaves its verdict in the folder.
one() {
	log=$(mktemp "$2/log.XXXXXX")
	start=$(date +%s%N)
	timeout "${TEST_SECONDS:-300}" "$1" >"$log" 2>&1
	rc=$?
	took=$((($(date +%s%N) - start) / 1000000))
	case $rc in
	0) kind=passed verdict=ok ;;
	77) kind=skipped verdict="skipped: $(sed -n 's/^skipped: //p' "$log" | head -n 1)" ;;
	124) kind=failed verdict="FAILED: no end within ${TEST_SECONDS:-300} s" ;;
	*) kind=failed verdict="FAILED ($rc)" ;;
	esac
	mktemp "$2/$kind.XXXXXX" >/dev/null
	told=$(printf '%-44s %6d ms  %s\n' "${1#"$BUILD"/}" "$took" "$verdict")
	[ $kind = failed ] && told="$told
$(sed 's/^/    /' "$log" | tail -n 40)"
	printf '%s\n' "$told"
}

if [ "${1:-}" = --one ]; then
	one "$2" "$3"
	exit 0
fi

jobs=${JOBS:-$(nproc)}
case "${1:-}" in
live) set -- "$BUILD"/tests/live/* tests/live/*.sh && jobs=1 ;;
slurm) set -- tests/slurm/sweep.sh ;;
# The longest first, so that none is left alone at the end.
*) set -- tests/jobs/docs.sh tests/jobs/*.sh "$BUILD"/tests/model/* "$BUILD"/tests/unit/* tests/layers.sh ;;
esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
printf '%s\n' "$@" | grep -v '\.d$\|\*' | awk '!seen[$0]++' |
	xargs -P "$jobs" -I{} "$0" --one {} "$folder"
count() {
	find "$folder" -name "$1.*" | wc -l
}
echo "$(count passed) passed, $(count failed) failed, $(count skipped) skipped"
[ "$(count failed)" = 0 ]
