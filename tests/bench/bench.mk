# Measurements: included by the Makefile. tests/bench/README.md says what they do.

BENCH_RECORDS = 2000000
BENCH_RUNS = 5
BENCH_THREADS = $(shell nproc)
# Names of cases, * for any text; none for all. `tests/bench/bench.py --list` lists them.
BENCH_ONLY =
# Names of tools; none for all that are there.
BENCH_TOOLS =

.PHONY: bench bench-data bench-guard-update

bench: BENCH_RECORDS = 20000000
bench: all build/bench/flowgen ## measure beside other tools: BENCH_RECORDS, _RUNS, _THREADS, _ONLY, _TOOLS
	@tests/setup.sh bench || echo "bench: what cannot be installed is left out" >&2
	/usr/bin/python3 tests/bench/bench.py --records $(BENCH_RECORDS) --runs $(BENCH_RUNS) \
		--threads $(BENCH_THREADS) --only '$(BENCH_ONLY)' --tools '$(BENCH_TOOLS)'

bench-data: build/bench/flowgen ## write build/bench/flows-2m.pcap, or BENCH_RECORDS records
	build/bench/flowgen -n $(BENCH_RECORDS) \
		build/bench/flows-$$(( $(BENCH_RECORDS) / 1000000 ))m.pcap

bench-guard-update: all build/bench/flowgen ## write tests/bench/instructions.txt anew
	/usr/bin/python3 tests/bench/guard.py --update

build/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O2 $(SQLITE_CFLAGS) -o $@ $< \
		-Wl,--as-needed $(SQLITE_LIBS) -lpthread
