# Ballast. `make reproduce` runs the main job, `make check` the tests; `make help` lists the rest.
#
# Variants live in folders of their own: plain build/, SAN=address,undefined or
# SAN=thread in build-san-*/, NDEBUG=1 in build-ndebug/.

MAKEFLAGS += --no-builtin-rules
CC      ?= gcc
PREFIX  ?= /usr/local
VERSION := 0.1.0
DATE    := November 20, 2026
JOBS    := $(shell nproc)

comma := ,
ifdef SAN
B := build-san-$(subst $(comma),-,$(SAN))
else ifdef NDEBUG
B := build-ndebug
else
B := build
endif

FOLDERS := core pmap balloon sharing swap tax traces live experiments
CPPFLAGS += -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DBALLAST_VERSION='"$(VERSION)"'
CFLAGS  ?= -O2 -g
CFLAGS  += -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	   -Wno-missing-field-initializers -fno-strict-aliasing -ffp-contract=off
LDLIBS  := -lconfuse -ljansson -lsqlite3 -lxxhash -lzstd -llz4 -luring -lncurses -lm
ifdef SAN
CFLAGS  += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SAN)
else
LDLIBS  += -ljemalloc
endif
ifdef NDEBUG
CPPFLAGS += -DNDEBUG
endif

SRC     := $(foreach d,$(FOLDERS),$(wildcard $(d)/*.c))
LIB_SRC := $(filter-out experiments/main.c live/agent.c live/agent_fd.c live/heap.c live/heap_serve.c live/heap_fork.c live/record_plugin.c,$(SRC))
LIB_OBJ := $(LIB_SRC:%.c=$B/obj/%.o)
UNIT    := $(patsubst tests/unit/%.c,$B/tests/unit/%,$(wildcard tests/unit/*.c))
LIVE    := $(patsubst tests/live/%.c,$B/tests/live/%,$(wildcard tests/live/*.c))
GUESTS  := $(patsubst live/guest/%.c,$B/guest/%,$(wildcard live/guest/*.c))
INSIDE  := $(GUESTS:$B/guest/%=$B/guest/static/%)
MODEL   := $(patsubst tests/model/%.c,$B/tests/model/%,$(wildcard tests/model/*.c))

.PHONY: all build reproduce check check-san check-slurm check-kills check-live check-lockdep soak-live lint format fuzz bench install uninstall deb check-deb clean help
all: build
build: $B/ballast $B/ballast-agent.so $B/ballast-heap.so $B/ballast-record.so $(GUESTS) $(INSIDE)

help:
	@sed -n 's/^## //p' Makefile

## make              builds build/ballast (packages: ./packages.sh build)
## make reproduce    installs what is missing, builds, runs the main job into results/
reproduce: | deps-build-run
	@$(MAKE) --no-print-directory -j$(JOBS) build
	@$B/ballast reproduce -o results

## make check        unit, model, job, layer and document tests
check: | deps-build-run-test
	@$(MAKE) --no-print-directory -j$(JOBS) build tests
	@BUILD=$B tests/run.sh

## make check-san    the same under ASan with UBSan, then under TSan
check-san: | deps-build-run-test
	@$(MAKE) --no-print-directory check SAN=address,undefined
	@$(MAKE) --no-print-directory check SAN=thread

## make check-slurm  sweeps on a Slurm of one node, on loopback; skips where it cannot start
check-slurm: | deps-build-run-test-slurm
	@$(MAKE) --no-print-directory -j$(JOBS) build
	@BUILD=$B tests/run.sh slurm

## make check-kills  a sweep of 200 runs, killed ten times and resumed
check-kills: | deps-build-run-test
	@$(MAKE) --no-print-directory -j$(JOBS) build
	@BUILD=$B RUNS=200 KILLS=10 tests/jobs/sweep.sh

## make check-live   live guests; skips, with the reason, where there can be none
check-live: | deps-build-test-live
	@$(MAKE) --no-print-directory -j$(JOBS) build live-tests
	@BUILD=$B tests/run.sh live

## make soak-live    the same under pressure for 5 minutes each: two Linux guests, three processes
soak-live: | deps-build-test-live
	@$(MAKE) --no-print-directory -j$(JOBS) build
	@BUILD=$B LIVE_SECONDS=$(SOAK_SECONDS) tests/live/linux.sh
	@BUILD=$B LIVE_SECONDS=$(SOAK_SECONDS) tests/live/crash.sh
SOAK_SECONDS ?= 300

## make check-lockdep  the balloon module under lockdep and KASAN; KERNEL_SOURCE=FOLDER: a Linux
check-lockdep: | deps-build-test-live
	@$(MAKE) --no-print-directory -j$(JOBS) build live-tests
	@BUILD=$B KERNEL_SOURCE='$(KERNEL_SOURCE)' tests/kernel/lockdep.sh

## make fuzz         every parser under libFuzzer, FUZZ_SECONDS=30 each, FUZZ_SEED=1 (0: any)
FUZZ_SECONDS ?= 30
FUZZ_SEED    ?= 1
fuzz: | deps-build-fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=$(FUZZ_SEED) JOBS=$(JOBS) tests/fuzz/run.sh

## make lint         clang-format, clang-tidy, cppcheck, shell syntax, manual page, layers
lint: | deps-build-lint-test
	@tests/lint.sh

## make format       rewrites the sources in the house's form
format:
	clang-format -i $(shell git ls-files '*.c' '*.h')

## make bench        the budgets, as ratios in one run
bench: | deps-build
	@$(MAKE) --no-print-directory -j$(JOBS) build
	@$B/ballast bench

## make install      PREFIX=/usr/local DESTDIR=
SHARE := $(DESTDIR)$(PREFIX)/share
LIB   := $(DESTDIR)$(PREFIX)/lib/ballast
MAN   := $(SHARE)/man/man1
COMPLETION := $(SHARE)/bash-completion/completions/ballast
install: build man
	install -Dm755 $B/ballast $(DESTDIR)$(PREFIX)/bin/ballast
	install -Dm644 -t $(LIB) $B/ballast-*.so
	install -Dm644 -t $(MAN) $B/man/man1/*.1
	sed -i 's,/usr/local/,$(PREFIX)/,' $(MAN)/ballast.1
	install -Dm644 $B/man/ballast.bash $(COMPLETION)
	install -Dm755 -t $(LIB)/guest $(GUESTS)
	install -Dm755 -t $(LIB)/guest/static $(INSIDE)
	install -Dm644 -t $(SHARE)/doc/ballast README.md LICENSE $(wildcard docs/*.md docs/*.svg)
	install -Dm644 -t $(SHARE)/ballast/module balloon/protocol.h $(wildcard balloon/linux/*)
	chmod 755 $(SHARE)/ballast/module/module.sh
	for d in $(DATA); do install -Dm644 -t $(SHARE)/ballast/$$d experiments/$$d/* || exit; done

# Folders of experiments/ that the program reads from (experiments/datadir.h).
DATA = $(patsubst experiments/%/,%,$(wildcard experiments/*/))

## make uninstall    takes all of that away again (the same PREFIX and DESTDIR)
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/ballast $(COMPLETION) $(MAN)/ballast.1 $(MAN)/ballast-*.1
	rm -rf $(SHARE)/doc/ballast $(SHARE)/ballast $(LIB)

## make deb          a Debian package, build/ballast_*.deb
deb: | deps-build-deb
	@$(MAKE) --no-print-directory -j$(JOBS) build man
	@VERSION=$(VERSION) BUILD=$B packaging/deb.sh

# Manual pages and completion come from the program's own tables of options.
.PHONY: man
man: $B/man/ballast.bash
$B/man/ballast.bash: $B/ballast docs/ballast.1
	@mkdir -p $B/man/man1 && rm -f $B/man/man1/*.1
	$(call say,MAN)$B/ballast help --man $B/man/man1 --date '$(DATE)'
	@install -m644 docs/ballast.1 $B/man/man1/
	@$B/ballast help --completion >$@.tmp && mv $@.tmp $@

## make check-deb    the package in a fresh Debian: installed, run, removed (root, a mirror)
check-deb: | deps-build-deb
	@$(MAKE) --no-print-directory deb
	@BUILD=$B tests/deb/run.sh

## make clean        removes every build folder
clean:
	rm -rf build build-ndebug build-san-* build-fuzz

deps-%:
	@./packages.sh $(subst -, ,$*)

.PHONY: tests sources
tests: $(UNIT) $(MODEL)
.PHONY: live-tests
live-tests: $(LIVE)

# For tests/fuzz/run.sh, which builds the library in a way of its own.
sources:
	@echo $(LIB_SRC)

# A word and a name per file; V=1 shows the commands.
ifndef V
say = @echo "  $(1) $@";
endif

# The flags are part of what an object depends on.
FLAGS := $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(LDLIBS)
$B/flags: FORCE
	@mkdir -p $B
	@echo '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || echo '$(subst ','\'',$(FLAGS))' > $@
FORCE:

# The commit, and whether the tree differs from it; of this repository, not of one around it.
BUILD_ID = $(shell [ "$$(git rev-parse --show-toplevel 2>/dev/null)" = "$$(pwd -P)" ] && \
	git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unknown)
$B/id/build_id.h: FORCE
	@mkdir -p $(@D)
	@echo '#define BALLAST_BUILD "$(BUILD_ID)"' | cmp -s - $@ || echo '#define BALLAST_BUILD "$(BUILD_ID)"' >$@
$B/obj/experiments/build.o: $B/id/build_id.h
$B/obj/experiments/build.o: CPPFLAGS += -include $B/id/build_id.h

$B/obj/%.o: %.c $B/flags
	@mkdir -p $(@D)
	$(call say,CC )$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$B/ballast: $(LIB_OBJ) $B/obj/experiments/main.o
	$(call say,LD )$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

# Loaded into foreign programs: nothing of ours beside it, and no sanitizer.
$B/ballast-agent.so: live/agent.c live/agent_fd.c live/agent.h live/uffd.h live/wire.h live/wire_io.h core/types.h $B/flags
	$(call say,LD )$(CC) $(CPPFLAGS) $(filter-out -fsanitize=%,$(CFLAGS)) -U_FILE_OFFSET_BITS -fPIC -fvisibility=hidden -shared -pthread $(filter %.c,$^) -o $@

# The same with jemalloc in it, and the balloon driver: malloc() of a process guest. jemalloc's
# handlers of fork() go through heap_fork.c.
HEAP_SRC := $(addprefix live/,agent.c agent_fd.c heap.c heap_serve.c heap_fork.c heap_pages.c) \
	    $(addprefix balloon/,driver.c stream.c ring.c) core/timer.c core/err.c
$B/ballast-heap.so: $(HEAP_SRC) $(wildcard live/*.h balloon/*.h core/*.h) $B/flags
	$(call say,LD )$(CC) $(CPPFLAGS) $(filter-out -fsanitize=%,$(CFLAGS)) -U_FILE_OFFSET_BITS -fPIC -fvisibility=hidden -shared -pthread -Wl,-Bsymbolic,--wrap=pthread_atfork $(HEAP_SRC) -l:libjemalloc_pic.a -lm -o $@

# Loaded into QEMU, which has what it calls.
$B/ballast-record.so: live/record_plugin.c live/record.h live/qemu_plugin.h $B/flags
	$(call say,LD )$(CC) $(CPPFLAGS) $(filter-out -fsanitize=%,$(CFLAGS)) -fPIC -fvisibility=hidden -shared -pthread $< -o $@

# What runs in guests: under the agent, or, static, in a Linux whose initramfs has nothing else.
$B/guest/static/%: live/guest/%.c $(wildcard live/guest/*.h) $B/flags
	@mkdir -p $(@D)
	$(call say,CC )$(CC) $(CPPFLAGS) $(filter-out -fsanitize=%,$(CFLAGS)) -pthread -static -s $< -lm -o $@

$B/guest/%: live/guest/%.c $(wildcard live/guest/*.h) $B/flags
	@mkdir -p $(@D)
	$(call say,CC )$(CC) $(CPPFLAGS) $(filter-out -fsanitize=%,$(CFLAGS)) -pthread $< -lm -o $@

$B/libballast.a: $(LIB_OBJ)
	@rm -f $@
	$(call say,AR )ar rcs $@ $^

# The guest's module in a test: its own code, in a kernel that the test plays (tests/kernel).
MODULE := $(patsubst %,$B/obj/kernel/%.o,channel talk pages)
$(MODULE): $B/obj/kernel/%.o: balloon/linux/%.c $B/flags
	@mkdir -p $(@D)
	$(call say,CC )$(CC) $(CPPFLAGS) -Itests/kernel -Iballoon $(CFLAGS) -Wno-shadow -MMD -MP -c $< -o $@
$B/tests/model/balloon-linux: $(MODULE)
$B/tests/model/balloon-linux: private CPPFLAGS += -Itests/kernel -Iballoon

$B/tests/%: tests/%.c tests/test.h $B/libballast.a
	@mkdir -p $(@D)
	$(call say,CC )$(CC) $(CPPFLAGS) -Itests $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) $< $(filter %.o,$^) $B/libballast.a $(LDLIBS) -lcunit -o $@

-include $(LIB_OBJ:.o=.d) $(MODULE:.o=.d) $B/obj/experiments/main.d $(UNIT:=.d) $(MODEL:=.d) $(LIVE:=.d)
