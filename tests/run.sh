#!/bin/sh
# Runs every test of one build folder (BUILD=build) and ends with a line of counts;
# `tests/run.sh live`: those with live guests; `tests/run.sh slurm`: on a Slurm.
# A program passes with 0, skips with 77, and has 300 s, after which it failed.
set -u
cd "$(dirname "$0")/.." || exit 1
export BUILD="${BUILD:-build}"
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
case "${1:-}" in
live) set -- "$BUILD"/tests/live/* tests/live/*.sh ;;
slurm) set -- tests/slurm/sweep.sh ;;
*) set -- "$BUILD"/tests/unit/* "$BUILD"/tests/model/* tests/layers.sh tests/jobs/*.sh ;;
esac
for t; do
	case "$t" in *.d | *\**) continue ;; esac
	start=$(date +%s%N)
	timeout "${TEST_SECONDS:-300}" "$t" >"$log" 2>&1
	rc=$?
	took=$((($(date +%s%N) - start) / 1000000))
	case $rc in
	0) passed=$((passed + 1)) verdict=ok ;;
	77) skipped=$((skipped + 1)) verdict="skipped: $(sed -n 's/^skipped: //p' "$log" | head -n 1)" ;;
	124) failed=$((failed + 1)) verdict="FAILED: no end within ${TEST_SECONDS:-300} s" ;;
	*) failed=$((failed + 1)) verdict="FAILED ($rc)" ;;
	esac
	printf '%-44s %6d ms  %s\n' "${t#"$BUILD"/}" "$took" "$verdict"
	case "$verdict" in FAILED*) sed 's/^/    /' "$log" | tail -n 40 ;; esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
