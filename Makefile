# SPDX-License-Identifier: MIT
# Needs a C compiler, make and libc. `make help` lists what can be made.

CC      ?= cc
CFLAGS  ?= -O2 -g
B       ?= build
WARN    := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
DEPS     = -MMD -MP
CORE    := -std=c99 $(WARN)
POSIX   := -std=c99 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE $(WARN)
HOST    := -std=c11 -D_GNU_SOURCE $(WARN)
LIBS    := -pthread -ldl -lm

core_src  := $(wildcard core/*.c)
host_main := host/gateway.c $(wildcard host/cmd*.c)
host_src  := $(filter-out $(host_main),$(wildcard host/*.c host/sql/*.c))
boards    := $(patsubst port/%/Makefile,%,$(wildcard port/*/Makefile))
posix_src := $(filter-out port/posix/device.c,$(wildcard port/posix/*.c)) port/port_check.c
test_help := $(wildcard tests/*.c)
units     := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))
props     := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/property/*.c))
sim_src   := $(wildcard tests/sim/sim*.c)
sims      := $(patsubst tests/%.c,$(B)/tests/%,$(filter-out $(sim_src),$(wildcard tests/sim/*.c))) $(B)/tests/sim/sim
benches   := $(patsubst tests/%.c,$(B)/tests/%,$(filter-out tests/bench/bench_wire.c,$(wildcard tests/bench/*.c)))
e2e_tools := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/e2e/*.c))
servers   := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/servers/*.c))
replays   := $(patsubst fuzz/%.c,$(B)/fuzz/%,$(wildcard fuzz/*.c))

core_obj  := $(core_src:%.c=$(B)/%.o)
host_obj  := $(host_src:%.c=$(B)/%.o)
main_obj  := $(host_main:%.c=$(B)/%.o)
posix_obj := $(posix_src:%.c=$(B)/%.o)
help_obj  := $(test_help:%.c=$(B)/%.o)

.PHONY: all help check check-all demo freestanding size powercut sim fault fuzz coverage format format-check clean \
        bench-wire bench-e2e bench-dedup bench-stage tests sanitize sanitize-run
.SECONDARY:

all: $(B)/libtern.a $(B)/libtern_host.a $(B)/tern-device $(B)/tern-gateway

help:
	@sed -n 's/^# make \(.*\)/make \1/p' Makefile

# ---- Libraries and programs ---------------------------------------------------------------------------------------------

$(B)/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CC) $(CORE) $(CFLAGS) $(DEPS) -c $< -o $@

$(B)/port/%.o: port/%.c
	@mkdir -p $(@D)
	$(CC) $(POSIX) $(CFLAGS) $(DEPS) -c $< -o $@

$(B)/host/%.o: host/%.c
	@mkdir -p $(@D)
	$(CC) $(HOST) $(CFLAGS) -pthread $(DEPS) -c $< -o $@

$(B)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(CC) $(HOST) $(CFLAGS) -pthread $(DEPS) -c $< -o $@

$(B)/fuzz/%.o: fuzz/%.c
	@mkdir -p $(@D)
	$(CC) $(HOST) $(CFLAGS) $(DEPS) -c $< -o $@

# make build/libtern.a        the device core, for a PC
$(B)/libtern.a: $(core_obj)
	@rm -f $@
	ar rcs $@ $^

# make build/libtern_host.a   the importer library; with a faster CRC in place of the core's small one
$(B)/libtern_host.a: $(filter-out $(B)/core/crc32c.o,$(core_obj)) $(host_obj)
	@rm -f $@
	ar rcs $@ $^

$(B)/libtern_posix.a: $(posix_obj)
	@rm -f $@
	ar rcs $@ $^

# make build/tern-device      a PC as a device
$(B)/tern-device: $(B)/port/posix/device.o $(B)/libtern_posix.a $(B)/libtern.a
	$(CC) $(CFLAGS) $^ -o $@

# make build/tern-gateway     the reference gateway
$(B)/tern-gateway: $(main_obj) $(B)/libtern_posix.a $(B)/libtern_host.a
	$(CC) $(CFLAGS) $^ $(LIBS) -o $@

$(B)/tests/%: $(B)/tests/%.o $(help_obj) $(B)/libtern_posix.a $(B)/libtern_host.a
	$(CC) $(CFLAGS) $^ $(LIBS) -o $@

# What the fault tests preload into the gateway, and the test itself.
$(B)/tests/fault/preload.so: tests/fault/preload.c tests/fault/control.h
	@mkdir -p $(@D)
	$(CC) $(HOST) $(CFLAGS) -fPIC -shared -pthread $< -o $@ -ldl
$(B)/tests/fault/faults: $(B)/tests/fault/faults.o $(B)/tests/fault/device.o $(help_obj) $(B)/libtern_posix.a $(B)/libtern_host.a
	$(CC) $(CFLAGS) $^ $(LIBS) -o $@
# The whole system: what the host asks of the C library is answered by the simulation.
sim_wraps := malloc calloc realloc free strdup open openat close read pread pwrite fdatasync fsync ftruncate fstat fstatat flock mkdir \
    opendir readdir closedir renameat unlinkat fstatvfs statvfs stat write rename fopen getrandom rand usleep clock_gettime pthread_create pthread_join \
    pthread_mutex_init pthread_mutex_destroy pthread_mutex_lock pthread_mutex_unlock pthread_cond_init pthread_cond_destroy \
    pthread_cond_wait pthread_cond_timedwait pthread_cond_broadcast pthread_cond_signal tern_sink_open
$(B)/tests/sim/sim: $(sim_src:%.c=$(B)/%.o) $(help_obj) $(B)/libtern_host.a
	$(CC) $(CFLAGS) $^ $(sim_wraps:%=-Wl,--wrap=%) $(LIBS) -o $@

# Tests in which the Nth call into the C library or SQLite's fails: they take the commands along.
fail_obj   := $(patsubst %.c,$(B)/%.o,$(wildcard tests/fail/*.c))
fail_wraps := $(shell sed -n 's/^WRAP.[^,]*, \([a-z_0-9]*\),.*/\1/p' tests/fail/fail_calls.c)
$(B)/tests/unit/test_fail_%: $(B)/tests/unit/test_fail_%.o $(fail_obj) $(filter-out $(B)/host/gateway.o,$(main_obj)) $(help_obj) \
    $(B)/libtern_posix.a $(B)/libtern_host.a
	$(CC) $(CFLAGS) $^ $(fail_wraps:%=-Wl,--wrap=%) $(LIBS) -o $@
$(B)/tests/servers/import_fail: $(B)/tests/servers/import_fail.o $(fail_obj) $(help_obj) \
    $(B)/libtern_posix.a $(B)/libtern_host.a
	$(CC) $(CFLAGS) $^ $(fail_wraps:%=-Wl,--wrap=%) $(LIBS) -o $@

# ---- Tests ----------------------------------------------------------------------------------------------------------------

tests: all $(units) $(props) $(sims) $(e2e_tools) $(servers) $(replays) $(B)/tests/fault/faults $(B)/tests/fault/preload.so

# make check                  what needs libc alone (and SQLite's library where it is there)
check: tests
	@sh tests/run.sh $(units) tests/replay/corpora.sh $(wildcard tests/e2e/e2e_*.sh)

# make check-all              everything; a missing tool is a failure
check-all: tests
	@sh tests/check_all.sh

# make demo                   three devices, a gateway, kills on the way, and the count
demo: all $(e2e_tools)
	@sh tests/e2e/demo.sh

# make powercut               torn states of the log: every operation, every byte
powercut: $(B)/tests/sim/powercut
	@$<

# make fault                  the gateway killed, cut off and refused at every system call
fault: all $(e2e_tools) $(B)/tests/fault/faults $(B)/tests/fault/preload.so
	@FAULT_LIBRARY=$(B)/tests/fault/preload.so FAULT_GATEWAY=$(B)/tern-gateway FAULT_DBDUMP=$(B)/tests/e2e/dbdump $(B)/tests/fault/faults $(FAULT)

# make sim SEEDS=10000        the whole system with every fault, a run a seed; a violation prints the line that replays it
SEEDS ?= 1000
FROM  ?= 1
sim: $(B)/tests/sim/sim
	@$< --seeds $(SEEDS) --from $(FROM) --jobs 2

# make freestanding           the core for four targets without any library, and what it then lacks
freestanding:
	@sh tests/freestanding.sh

# make size                   code, RAM and deepest stack a target, in bytes; fails above tests/size/bounds
size:
	@python3 tests/size/size.py

# make firmware               images for the emulated boards: build/firmware/*.elf
.PHONY: firmware dist
firmware:
	@for board in $(boards); do $(MAKE) -s -C port/$$board OUT=$(abspath $(B))/firmware || exit 1; done

# make dist                   build/dist/tern.c and tern.h: the device core as one pair of files; build/dist/arduino/tern: a library
dist:
	@python3 tests/dist/dist.py $(B)/dist

# make sanitize               the tests under AddressSanitizer and UndefinedBehaviorSanitizer
sanitize:
	$(MAKE) B=$(B)/asan CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" sanitize-run
sanitize-run: $(units) $(props)
	@BUILD=$(B) sh tests/run.sh tests/property/short.sh $(units)

# make threads                the tests that have threads, and a gateway with its threads, under ThreadSanitizer
.PHONY: threads threads-run memcheck
# The device core has none; two of the longest of the host have none either.
threadless = answers bloom bytes chunk config contract csv dedup frame golden log log_find log_mount log_ring log_sectors log_start pack port_check push \
	refuse schema sending tern fail_commands fail_store
threads:
	$(MAKE) B=$(B)/tsan CFLAGS="-O1 -g -fsanitize=thread -fno-omit-frame-pointer" threads-run
threads-run: all $(units) $(props) $(e2e_tools)
	@FAIL_STRIDE=397 TSAN_OPTIONS=halt_on_error=1 BUILD=$(B) sh tests/run.sh tests/property/short.sh $(filter-out $(threadless:%=\%/test_%),$(units)) \
	    tests/e2e/e2e_occupancy.sh tests/e2e/e2e_gateway.sh

# make memcheck               the tests under valgrind, but for the longest
memcheck: $(units) $(props)
	@FAIL_STRIDE=397 UNDER="valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite" BUILD=$(B) sh tests/run.sh tests/property/short.sh \
	    $(filter-out %/test_bloom %/test_fail_commands %/test_fail_host %/test_log,$(units))

# make lint                   clang-tidy, cppcheck and gcc's analyzer over core/, host/ and port/
.PHONY: lint
lint:
	@sh tests/lint.sh

# make coverage               branches taken a file; COVERAGE=core/ also says which lines lack some
coverage:
	@sh tests/coverage.sh $(COVERAGE)

# make mutants SAMPLE=200     core/ changed in one place at a time: does a test notice? All 3,500 places without SAMPLE, half an hour;
#                             MUTANTS="core/log.c ..." those of some files, SEED=1 chooses the sample (tests/mutants/mutants.py)
SEED ?= 1
.PHONY: mutants
mutants:
	@python3 tests/mutants/mutants.py --build $(B)/mutants --seed $(SEED) $(SAMPLE:%=--sample %) $(MUTANTS)

# make fuzz SECONDS=60        each target with libFuzzer, or with FUZZER=afl by AFL++ (package afl++)
SECONDS ?= 60
fuzz: $(replays)
	@sh tests/fuzz.sh $(SECONDS)

$(B)/fuzz/seed_%: $(B)/fuzz/seed_%.o $(B)/tests/nor.o $(B)/libtern.a
	$(CC) $(CFLAGS) $^ -o $@
$(B)/fuzz/%: $(B)/fuzz/%.o $(B)/tests/replay/replay.o $(B)/libtern_host.a
	$(CC) $(CFLAGS) $^ $(LIBS) -o $@

# make format                 clang-format over everything
sources := $(wildcard core/*.[ch] port/*.[ch] port/*/*.[ch] port/*/*/*.[ch] host/*.[ch] host/sql/*.[ch] tests/*.[ch] tests/*/*.[ch] tests/glue/*/*.[ch] fuzz/*.c)
format:
	clang-format -i $(sources)
format-check:
	clang-format --dry-run -Werror $(sources)

# ---- Benchmarks -----------------------------------------------------------------------------------------------------------

# make bench-wire DATA=f.csv  bytes a row, beside other formats
DATA ?= ../shared/data/occupancy.csv
bench-wire:
	@mkdir -p $(B)
	@if printf '#include <zlib.h>\n#include <lzma.h>\nint main(void) { return 0; }\n' | $(CC) -x c - -lz -llzma -o $(B)/.probe 2>/dev/null; then \
	    $(MAKE) -s $(B)/tests/bench/bench_wire && $(B)/tests/bench/bench_wire $(DATA); \
	else echo "bench-wire: skipped, install the packages zlib1g-dev and liblzma-dev"; fi
$(B)/tests/bench/bench_wire: $(B)/tests/bench/bench_wire.o $(B)/libtern_posix.a $(B)/libtern_host.a
	$(CC) $(CFLAGS) $^ -lz -llzma $(LIBS) -o $@

# make bench-e2e              rows a second from tern-device to SQLite
bench-e2e: all $(e2e_tools) $(benches)
	@sh tests/bench/bench_e2e.sh

# make bench-dedup            what dedup saves of a stream in which each reading arrives five times, and its RAM
bench-dedup: $(B)/tests/bench/bench_dedup
	@$<

# make bench-stage            rows a second accepted and imported, without the network
bench-stage: $(B)/tests/bench/bench_stage
	@$<

# make bench-import           rows into databases, beside their own bulk load; DATABASES="sqlite postgresql mariadb"
DATABASES ?= $(patsubst tests/bench/import_%.sh,%,$(wildcard tests/bench/import_*.sh))
bench-import: $(B)/tests/bench/bench_import
	@for database in $(DATABASES); do B=$(B) sh tests/bench/bench_import.sh $$database "$(ROWS)" $(ROUNDS) || exit 1; done

# make bench-filter           new rows whose keys come in any order, into databases with and without the importer's filter
bench-filter: $(B)/tests/bench/bench_import
	@for database in $(DATABASES); do for data in random text narrow; do \
	    B=$(B) DATA=$$data sh tests/bench/bench_filter.sh $$database "$(ROWS)" $(ROUNDS) || exit 1; done; done

clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
