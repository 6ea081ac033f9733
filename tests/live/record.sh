#!/bin/sh
# A real Linux in QEMU, recorded: what a guest writes to 96 MiB of memory is in
# the trace, and the trace is replayed in half the memory.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=$PWD/${BUILD:-build}/ballast
skip() {
	echo "skipped: $*"
	exit 77
}
command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64 here"
command -v busybox >/dev/null || skip "no busybox here"
kernel=$(ls /boot/vmlinuz-* 2>/dev/null | tail -n 1)
[ -r "$kernel" ] || skip "no kernel in /boot that can be read"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
bad=0

fail() {
	echo "$*"
	bad=1
}

mkdir -p "$work/root/bin" "$work/root/dev" "$work/root/tmp"
cp "$(command -v busybox)" "$work/root/bin/"
cat >"$work/root/init" <<'END'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
[ "$SIZE" = 0 ] || /bin/busybox dd if=/dev/zero of=/tmp/x bs=1M count=$SIZE 2>/dev/null
/bin/busybox ls -l /tmp
echo guest is done
/bin/busybox poweroff -f
END
chmod +x "$work/root/init"
(cd "$work/root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$work/initrd"

# boot MIB: into MIB.bt
boot() {
	timeout 200 "$ballast" trace record --instructions -o "$work/$1.bt" -- qemu-system-x86_64 -accel tcg -m 384 -nographic \
		-no-reboot -kernel "$kernel" -initrd "$work/initrd" \
		-append "console=ttyS0 quiet init_on_alloc=0 panic=-1 no_timer_check SIZE=$1" >"$work/out" 2>"$work/err" </dev/null ||
		fail "recording failed: $(cat "$work/err")"
	grep -q 'guest is done' "$work/out" || fail "the guest did not come to its end: $(tail -n 3 "$work/out")"
	checks=$(sed -n 's/.* \([0-9]* of [0-9]*\) checks agree.*/\1/p' "$work/out")
	[ "${checks#* of }" -gt 1000 ] && [ "${checks% of *}" = "${checks#* of }" ] || fail "instructions and data disagree: $checks"
	"$ballast" trace info "$work/$1.bt" | sed -n 's/^pages *\([0-9]*\) distinct.*/\1/p'
}

without=$(boot 0)
with=$(boot 96)
# 24,576 pages, less those that the boot had used and freed again: a quarter, in some boots.
[ $((with - without)) -ge 14000 ] && [ $((with - without)) -le 26000 ] ||
	fail "96 MiB written are $((with - without)) pages more ($without, $with)"
"$ballast" trace import --renumber "$work/96.bt" -o "$work/dense.bt" || fail "renumbering failed"
"$ballast" run experiments/jobs/replay.job -s "vm.a.trace=$work/dense.bt" -s host.memory=$((with * 2))kb -s host.thresholds=none --json >"$work/json" ||
	fail "its replay failed"
faults=$(sed -n 's/^ *"faults": \([0-9]*\),*$/\1/p' "$work/json" | tail -n 1)
[ "$faults" -gt "$with" ] || fail "in half the memory $faults faults on $with pages"
exit $bad
