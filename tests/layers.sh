#!/bin/sh
# Includes go one way. Fails on an include that the table does not allow, on a
# private header used outside its folder, and on an include not written from
# the root. The kernel module is built apart, by rules of its own.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
# Folder: the folders that it may include besides itself.
allowed() {
	case "$1" in
	core) echo "" ;;
	pmap) echo "core" ;;
	balloon | sharing | swap) echo "core pmap" ;;
	tax) echo "core pmap" ;;
	traces) echo "core pmap" ;;
	live) echo "core pmap balloon" ;;
	experiments) echo "core pmap balloon sharing swap tax traces live" ;;
	esac
}
# shellcheck disable=SC2044 # names have no blanks
for file in $(find core pmap balloon sharing swap tax traces live experiments -path balloon/linux -prune -o -name '*.[ch]' -print 2>/dev/null); do
	folder=${file%%/*}
	# Only the replayer and the guest-OS model of traces/ know a VM.
	may="$folder $(allowed "$folder")"
	case "$file" in
	traces/replay*.[ch] | traces/guest*.[ch] | tax/sample*.[ch]) ;;
	traces/* | tax/*) may=$(echo "$may" | sed 's/ pmap//') ;;
	esac
	for include in $(sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$file"); do
		target=${include%%/*}
		case " $may " in
		*" $target "*) ;;
		*) echo "$file includes \"$include\": ${folder}/ may include only: $may" && bad=1 ;;
		esac
		case "$include" in
		*private.h) [ "$target" = "$folder" ] || { echo "$file includes \"$include\", private to $target/" && bad=1; } ;;
		esac
		[ -f "$include" ] || { echo "$file includes \"$include\": write includes from the root" && bad=1; }
	done
done
# Calls to the operating system's memory and clocks live in core/os.c alone.
calls=$(grep -nE '\b(mmap|munmap|madvise|clock_gettime|gettimeofday|pread|pwrite)\(' -r core pmap swap traces sharing tax balloon --include='*.c' 2>/dev/null |
	grep -v '^core/os\.c:')
[ -z "$calls" ] || { echo "operating system calls outside core/os.c:" "$calls" && bad=1; }
exit $bad
