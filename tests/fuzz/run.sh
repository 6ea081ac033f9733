#!/bin/sh
# Builds every tests/fuzz/fuzz_*.c with the library under libFuzzer, ASan and
# UBSan into build-fuzz/, and runs each for FUZZ_SECONDS (30), JOBS at a time,
# from a small corpus made here. Any finding fails; the input that shows it
# stays in build-fuzz/. With arguments, runs those targets only: run.sh bt csv
# A short run is a regression test, and begins with the same FUZZ_SEED (1) each
# time; to look for what is new, give it long and FUZZ_SEED=0, a seed of its own.
set -eu
cd "$(dirname "$0")/../.."
CLANG=${CLANG:-clang}
export FUZZ_SECONDS="${FUZZ_SECONDS:-30}" FUZZ_SEED="${FUZZ_SEED:-1}"
jobs=${JOBS:-$(nproc)}
out=build-fuzz
rm -rf $out/obj
mkdir -p $out/obj
cat >$out/flags <<'EOF'
-std=gnu11 -g -O1 -I. -Itests -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64
-DBALLAST_VERSION=\"fuzz\" -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
-fno-strict-aliasing -fno-omit-frame-pointer
-fsanitize=address,undefined -fno-sanitize-recover=all
EOF
libs='-lconfuse -lsqlite3 -ljansson -lxxhash -lzstd -llz4 -luring -lm'

# One object per source, in parallel.
sources=$(make -s sources)
echo "$sources" | tr ' ' '\n' | CLANG=$CLANG out=$out xargs -P "$jobs" -I{} sh -c '
	object=$out/obj/$(echo {} | tr / -).o
	exec "$CLANG" @$out/flags -fsanitize=fuzzer-no-link -c {} -o "$object"'
rm -f $out/library.a
ar rcs $out/library.a $out/obj/*.o

# The corpora: a few well-formed files of each format.
make -s build
ballast=build/ballast
corpus() {
	mkdir -p "$out/corpus/$1"
	cat >"$out/corpus/$1/$2"
}
printf 'page,op\n1,r\n0x10,w\n' | corpus csv plain
printf 'vm,time_ns,content,op,page\n0,5,,read,1\n1,900,7,write,2\n0,99999999,3,unmap,1\n' |
	corpus csv every-column
printf '==1== x\nI  04001000,3\n L 1ffc,8\n S 2000,4\n M 1ffefff000,8\n' | corpus lackey plain
printf 'ls 7/7 1.5: page-faults: 1000\nls 8/8 [1] 9.5: 1 cpu/mem-stores/P: 2fff x\n' | corpus perf plain
printf 'k 1 1.5: damon:damon_aggregated: target_id=0 nr_regions=1 4096-12288: 1 0\n' |
	corpus damon plain
{ # a header, a process, a time, a store over a page's end
	printf '\031\0\0\0\5\0\0\0\0\0\0\0\030\0\4\0\7\0\0\0\0\0\0\0'
	printf '\034\0\2\0\7\0\0\0\0\0\0\0\1\0\20\0\377\17\0\0\0\0\0\0'
} | corpus drmemtrace plain
{ printf '\0\020\100\0\0\0\0\0' && head -c 56 /dev/zero; } | corpus champsim plain
printf '0host.memory=1mb:4mb:*2,16mb' | corpus sweep axis
printf '0vm.a.memory+vm.b.memory=1mb;2mb' | corpus sweep keys
printf '1{"ballast": "0", "titles": ["vm a"], "set": {"host.memory": "1mb"}, "seeds": 2,
	"seed_keys": {"host.seed": 1}, "traces": {}, "vary": [{"key": "swap.victim", "values": ["lru"]}]}' |
	corpus sweep plan
printf '2{"run": 1, "state": "done", "error": "", "summary": {}, "cpu_ns": 1, "wall_ns": 1, "node": "n"}' |
	corpus sweep record
printf '3vm.*.refs/host.free' | corpus sweep metric
for form in '' --fixed; do
	for seed in csv/plain csv/every-column; do
		$ballast trace import --format csv $form "$out/corpus/$seed" -o - |
			corpus bt "$(echo "$seed$form" | tr / -)"
	done
	$ballast trace gen drift -s refs=2000 -s pages=70000 $form -o - | corpus bt "drift$form"
done
zeros() {
	head -c "$1" /dev/zero
}
lime() { # a range of one page: its first and last address over 256, in octal
	printf 'EMiL\1\0\0\0\0%b\0\0\0\0\0\0\377%b\0\0\0\0\0\0' "\\0$1" "\\0$2"
	zeros 8
	zeros 4096
}
{ # a core with two segments of half a page, the program headers right behind the header
	printf '\177ELF\2\1\1' && zeros 9 && printf '\4\0\76\0\1\0\0\0' && zeros 8
	printf '\100' && zeros 15 && zeros 4 && printf '\100\0\70\0\2\0' && zeros 6
	for half in 0 10; do
		printf '\1\0\0\0\4\0\0\0\260%b\0\0\0\0\0\0' "\\0$half"
		printf '\0%b\0\0\0\0\0\0' "\\0$half" && zeros 8
		printf '\0\10\0\0\0\0\0\0\0\10\0\0\0\0\0\0' && zeros 8
	done
	zeros 4096
} >$out/core
for choice in 0 1 2 3 4 5 6 7; do
	{ printf '%b' "\\0$choice" && cat $out/core; } | corpus image core$choice
	{ printf '%b' "\\0$choice" && lime 20 37; } | corpus image lime$choice
	{ printf '%b' "\\0$choice" && zeros 4096; } | corpus image raw$choice
done
header() { # type, size and number of a balloon's message
	printf '%b\0%b\0%b\0\0\0' "\\0$1" "\\0$2" "\\0$3"
}
hello() {
	header 1 60 0
	printf 'bloo\1\0\1\0\7\0\0\0\14\0\0\0' && zeros 24
}
inflate() { # five pages, in the octal number of the message
	header 2 50 "$1"
	printf '\5\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0\0\0\0\0'
}
{ printf '\0' && hello && inflate 1 && inflate 2 && header 5 160 3 && zeros 104; } |
	corpus balloon bytes
printf '\1\1\0\0\17\2\2\0\10\1\2\3\4\5\6\7\10\7\6\5\0\5\0\0\0\11\0\0' | corpus balloon sentences
{ printf '\2\200\4\0\1\0\0\0\3\60\0' && hello && printf '\200\4\140\60\0\0\0'; } |
	corpus balloon scribbles
{ # welcome, target 100 pages at 1000 a second
	printf '\3' && header 20 40 0 && printf '\1\0\0\0\7\0\0\0\200\0\0\0\350\3\0\0' && zeros 8
	header 21 30 1 && printf '\144\0\0\0\350\3\0\0' && zeros 8
} | corpus balloon driver
printf '\7up\n@ballast kv t=1.5 ops=3 done=9 steal_ms=0 mb=1.5\r\n@ballast kv end bad=0 x=-1\n' |
	corpus console plain
for table in experiments/claims/*.csv; do
	corpus claims "$(basename "$table")" <"$table"
done
find experiments/jobs -name '*.job' 2>/dev/null | while read -r job; do
	corpus job "$(basename "$job")" <"$job"
done

targets=${*:-$(find tests/fuzz -name 'fuzz_*.c' | sed 's/.*fuzz_\(.*\)\.c/\1/' | sort)}
for target in $targets; do
	mkdir -p "$out/corpus/$target" "$out/found/$target"
	# shellcheck disable=SC2086 # a list of words
	$CLANG @$out/flags -fsanitize=fuzzer "tests/fuzz/fuzz_$target.c" $out/library.a $libs \
		-o "$out/fuzz_$target"
done

rm -f $out/*.passed
echo "$targets" | tr ' ' '\n' | xargs -P "$jobs" -I{} sh -c '
	build-fuzz/fuzz_{} -seed="$FUZZ_SEED" -max_total_time="$FUZZ_SECONDS" -max_len=8192 -timeout=20 \
		-rss_limit_mb=2048 -artifact_prefix=build-fuzz/found/{}/ build-fuzz/corpus/{} \
		>build-fuzz/{}.log 2>&1 && : >build-fuzz/{}.passed; :'

passed=0 failed=0
for target in $targets; do
	if [ -f "$out/$target.passed" ]; then
		passed=$((passed + 1))
		printf '%-12s ok, %s runs\n' "$target" \
			"$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$out/$target.log")"
	else
		failed=$((failed + 1))
		printf '%-12s FAILED\n' "$target"
		tail -n 40 "$out/$target.log" | sed 's/^/    /'
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
