# Earlgrey: `make help` lists the targets.

# ---- Settings: give them on the command line, as in `make PREFIX=$HOME/.local install`

ifeq ($(origin CC),default)
CC = gcc
endif
CFLAGS = -O2 -g
LDFLAGS =
PREFIX = /usr/local
DESTDIR =
VARIANT = release
WERROR =
SANITIZE =
FUZZ_SECONDS = 30

# ---- Nothing below needs editing

BASE_SRC = array.c intern.c pool.c radix.c status.c
FLOW_SRC = address_order.c batch.c file_walk.c predicate.c schema.c
CAPTURE_SRC = capture.c datagram_block.c filelist.c frame.c identity.c ledger.c nf5.c reasons.c reassembly.c \
	savefile.c savefile_libpcap.c savefile_pcapng.c savefile_plain.c slab.c stream.c
PARQUET_SRC = pq_arena.c pq_bloom.c pq_buffer.c pq_chunk.c pq_codec.c pq_codes.c pq_delta.c pq_encoding.c pq_file.c \
	pq_meta.c pq_meta_write.c pq_page.c pq_reader.c pq_rle.c pq_thrift.c pq_writer.c shard_codes.c shard_column.c \
	shard_convert.c shard_keys.c shard_list.c shard_parts.c shard_piece.c shard_prune.c shard_rows.c shard_source.c \
	shard_verify.c shard_weights.c
DATASET_SRC = column_encode.c compact.c dataset.c dataset_files.c group_encode.c ingest.c row_buffer.c row_order.c \
	shard_notes.c shard_output.c verify.c
QUERY_SRC = entry_sort.c filter.c group.c group_keys.c group_light.c group_runs.c group_sum.c group_table.c group_top.c \
	row_runs.c scan.c scan_ahead.c scan_spread.c series.c series_lines.c sorted_rows.c spill.c team.c
SQLITE_SRC = btree_read.c btree_write.c capture_tables.c connection.c database.c functions.c manifest_db.c \
	settings.c sql_constraint.c sql_sums.c sql_tables.c sql_value.c store_bulk.c store_load.c store_pages.c \
	store_schema.c store_source.c store_terms.c stored_ledger.c vtab_flows.c vtab_group.c vtab_ingest.c vtab_ledger.c \
	vtab_series.c
LUA_SRC = editor.c embedded.c interrupt.c main.c mod_earlgrey.c mod_files.c mod_http.c mod_process.c \
	mongo_plugin.c row_cells.c row_text.c sqlite_codes.c statement.c system_failure.c
MONGO_SRC = bson_read.c bson_value.c bson_write.c mod_mongo.c mongo_collection.c mongo_cursor.c mongo_stream.c

ENGINE_SRC = $(BASE_SRC:%=ext/base/%) $(FLOW_SRC:%=ext/flow/%) \
	$(CAPTURE_SRC:%=ext/capture/%) $(PARQUET_SRC:%=ext/parquet/%) \
	$(DATASET_SRC:%=ext/dataset/%) $(QUERY_SRC:%=ext/query/%)
EXTENSION_SRC = $(SQLITE_SRC:%=ext/sqlite/%) ext/extension.c

UNIT_TESTS = test_address_order test_batch test_btree_read test_btree_write test_capture test_column_encode \
	test_dataset test_filelist test_filter test_frame test_group test_group_light test_group_table test_identity \
	test_intern test_ledger test_nf5 test_pool test_pq_bloom test_pq_codec test_pq_codes test_pq_delta test_pq_encoding \
	test_pq_file test_pq_meta test_pq_reader \
	test_pq_rle test_pq_thrift test_pq_writer test_predicate test_radix test_reasons test_reassembly test_row_order \
	test_savefile test_scan test_scan_ahead test_scan_spread test_schema test_series test_shard_codes test_shard_column \
	test_shard_convert test_shard_keys test_shard_list test_shard_parts test_shard_piece test_shard_prune test_shard_rows test_shard_source \
	test_shard_verify test_shard_weights test_sorted_rows test_status test_store_terms test_stream
FUZZ_TARGETS = frame nf5 pq_footer pq_page savefile shard

# Objects and test programs are in build/VARIANT; only the release goes to the root.
B = build/$(VARIANT)
ifeq ($(VARIANT),release)
OUT = .
else
OUT = $(B)
endif

PKG = pkg-config
ENGINE_PKGS = libpcap libarchive zlib libdeflate libzstd snappy liblz4 libxxhash
SQLITE_CFLAGS := $(shell $(PKG) --cflags sqlite3 2>/dev/null)
SQLITE_LIBS := $(shell $(PKG) --libs sqlite3 2>/dev/null)
ENGINE_CFLAGS := $(shell $(PKG) --cflags $(ENGINE_PKGS) 2>/dev/null)
ENGINE_LIBS := $(shell $(PKG) --libs $(ENGINE_PKGS) 2>/dev/null) -lpthread
LUA_CFLAGS := $(shell $(PKG) --cflags lua5.4 libedit libmicrohttpd 2>/dev/null)
LUA_LIBS := $(shell $(PKG) --libs lua5.4 libedit libmicrohttpd 2>/dev/null)
MONGO_LIBS := $(shell $(PKG) --libs libmongoc-1.0 2>/dev/null)

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wmissing-prototypes -Wvla $(WERROR)
COMPILE = $(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) $(SANITIZE) -fvisibility=hidden \
	-Iext $(SQLITE_CFLAGS) $(ENGINE_CFLAGS) -MMD -MP
LINK = $(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS)
LIBS = $(SQLITE_LIBS) $(ENGINE_LIBS)

ENGINE_OBJ = $(ENGINE_SRC:%.c=$(B)/%.o)
LOADABLE_OBJ = $(EXTENSION_SRC:%.c=$(B)/loadable/%.o)
CORE_OBJ = $(EXTENSION_SRC:%.c=$(B)/core/%.o)
LUA_OBJ = $(LUA_SRC:%.c=$(B)/lua/%.o)
MONGO_OBJ = $(MONGO_SRC:%.c=$(B)/lua/%.o)
MODULES = $(if $(MONGO_LIBS),$(OUT)/earlgrey-mongo.so)# left out where its library is missing
# The engine without its main program, for the tests to link.
LIBRARY = $(B)/libearlgrey.a
UNIT_BIN = $(UNIT_TESTS:%=$(B)/unit/%)
REPLAY_BIN = $(FUZZ_TARGETS:%=$(B)/fuzz/replay_%)
FUZZ_BIN = $(FUZZ_TARGETS:%=$(B)/fuzz/%)
FAULT_BIN = $(B)/fault/fault_alloc $(B)/fault/fault_read
WRAP_ALLOC = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=aligned_alloc,--wrap=free
WRAP_READ = -Wl,--wrap=read,--wrap=pread,--wrap=open

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all demo test test-unit test-sql test-lua test-interop asan valgrind clang fuzz \
	format check-format install uninstall clean help need \
	unit-bins replay-bins fault-bins fuzz-bins \
	print-unit print-replay print-fuzz

all: $(OUT)/earlgrey.so $(OUT)/earlgrey-lua $(MODULES) ## build earlgrey.so and earlgrey-lua (the default)

demo: ## install what is missing, build, and rank the bundled samples
	@tests/setup.sh demo
	@$(MAKE) --no-print-directory -s all
	./earlgrey-lua scripts/activeflow.lua -print 10

test: ## install what is missing, build, and run every test
	@tests/setup.sh test
	@tests/run.sh all

test-unit: ## the C unit tests
test-sql: ## the SQL tests: tests/sql/NAME.sql against NAME.out
test-lua: ## the tests of earlgrey-lua and the scripts
asan: ## the whole suite under AddressSanitizer and UBSan
valgrind: ## the unit tests under valgrind
test-unit test-sql test-lua asan valgrind:
	@tests/run.sh $(@:test-%=%)

test-interop: ## compare with other programs, installing them where Debian has them
	@tests/setup.sh interop
	@tests/run.sh interop

clang: ## build with clang, warnings as errors
	@$(MAKE) --no-print-directory VARIANT=clang CC=clang WERROR=-Werror all

fuzz: ## fuzz every target for FUZZ_SECONDS (30)
	@tests/setup.sh test
	@tests/run.sh fuzz $(FUZZ_SECONDS)

format: ## rewrite the C sources with clang-format
	clang-format -i $$(find ext lua tests -name '*.[ch]')

check-format: ## tell which C sources clang-format would change
	@clang-format --dry-run -Werror $$(find ext lua tests -name '*.[ch]')

install: all ## copy to PREFIX (/usr/local), below DESTDIR where one is given
	install -d $(DESTDIR)$(PREFIX)/lib/earlgrey $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/earlgrey
	install -m 644 $(OUT)/earlgrey.so $(DESTDIR)$(PREFIX)/lib/earlgrey.so
	$(if $(MODULES),install -m 644 $(MODULES) $(DESTDIR)$(PREFIX)/lib/earlgrey/)
	install -m 755 $(OUT)/earlgrey-lua $(DESTDIR)$(PREFIX)/bin/earlgrey-lua
	for d in scripts samples; do \
		rm -rf $(DESTDIR)$(PREFIX)/share/earlgrey/$$d; \
		cp -R $$d $(DESTDIR)$(PREFIX)/share/earlgrey/; done

uninstall: ## remove what install copied
	rm -f $(DESTDIR)$(PREFIX)/lib/earlgrey.so $(DESTDIR)$(PREFIX)/bin/earlgrey-lua
	rm -rf $(DESTDIR)$(PREFIX)/share/earlgrey $(DESTDIR)$(PREFIX)/lib/earlgrey

clean: ## remove what was built
	rm -rf build earlgrey.so earlgrey-mongo.so earlgrey-lua

help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name what; do printf '%-18s %s\n' "$$name" "$$what"; done

# pkg-config's name and Debian's, of each library.
DEBIAN_DEV = sqlite3:libsqlite3-dev libpcap:libpcap-dev libarchive:libarchive-dev zlib:zlib1g-dev \
	libdeflate:libdeflate-dev libzstd:libzstd-dev snappy:libsnappy-dev liblz4:liblz4-dev libxxhash:libxxhash-dev \
	lua5.4:liblua5.4-dev libedit:libedit-dev libmicrohttpd:libmicrohttpd-dev

# Says which packages to install, in one line, before a compiler says it in fifty.
need:
	@missing=; \
	if ! command -v $(firstword $(CC)) >/dev/null; then missing="$(firstword $(CC))"; fi; \
	command -v $(PKG) >/dev/null || missing="$$missing pkg-config"; \
	for need in $(DEBIAN_DEV); do \
		$(PKG) --exists "$${need%%:*}" 2>/dev/null || missing="$$missing $${need#*:}"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "missing; run: apt-get install" $$missing >&2; exit 1; fi

unit-bins: $(UNIT_BIN)
replay-bins: $(REPLAY_BIN)
fault-bins: $(FAULT_BIN)
fuzz-bins: $(FUZZ_BIN)
print-unit: ; @echo $(UNIT_BIN)
print-replay: ; @echo $(REPLAY_BIN)
print-fuzz: ; @echo $(FUZZ_BIN)

# ---- Rules

$(OUT)/earlgrey.so: $(ENGINE_OBJ) $(LOADABLE_OBJ)
	$(LINK) -shared -Wl,-z,defs -Wl,--as-needed -o $@ $^ $(ENGINE_LIBS)

$(OUT)/earlgrey-lua: $(LUA_OBJ) $(LIBRARY)
	$(LINK) -Wl,--as-needed -Wl,--export-dynamic-symbol='eg_lua_interrupt_p*' -o $@ $^ $(LUA_LIBS) $(LIBS) -lm
	@$(if $(MODULES),:,echo "earlgrey-lua is built without MongoDB; apt-get install libmongoc-dev adds it")

$(MONGO_OBJ): EXTRA = -fPIC $(shell $(PKG) --cflags libmongoc-1.0)
$(OUT)/earlgrey-mongo.so: $(MONGO_OBJ)
	$(LINK) -shared -Wl,--as-needed -o $@ $^ $(MONGO_LIBS) $(LUA_LIBS)

$(LIBRARY): $(ENGINE_OBJ) $(CORE_OBJ)
	rm -f $@
	$(AR) rcs $@ $^

$(B)/ext/%.o: ext/%.c | need
	@mkdir -p $(@D)
	$(COMPILE) -fPIC -c -o $@ $<

$(B)/loadable/ext/%.o: ext/%.c | need
	@mkdir -p $(@D)
	$(COMPILE) -fPIC -c -o $@ $<

$(B)/core/ext/%.o: ext/%.c | need
	@mkdir -p $(@D)
	$(COMPILE) -DSQLITE_CORE -c -o $@ $<

$(B)/lua/%.o: lua/%.c | need
	@mkdir -p $(@D)
	$(COMPILE) -DSQLITE_CORE $(LUA_CFLAGS) $(EXTRA) -c -o $@ $<

# Carries the Lua parts inside.
$(B)/lua/embedded.o: $(wildcard lua/earlgrey/*.lua)

$(B)/tests/%.o: tests/%.c | need
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

$(B)/unit/%: $(B)/tests/unit/%.o $(LIBRARY)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS) -lcmocka

# The Parquet dumper that the interop tests run.
$(B)/interop/pq_dump: $(B)/tests/interop/pq_dump.o $(LIBRARY)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS)

$(B)/fuzz/replay_%: $(B)/tests/fuzz/replay.o $(B)/tests/fuzz/fuzz_%.o $(LIBRARY)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS)

$(B)/fuzz/%: $(B)/tests/fuzz/fuzz_%.o $(LIBRARY)
	@mkdir -p $(@D)
	$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIBS)

$(B)/fault/fault_alloc: WRAP = $(WRAP_ALLOC)
$(B)/fault/fault_read: WRAP = $(WRAP_READ)
$(B)/fault/%: $(B)/tests/fault/%.o $(B)/tests/fault/fault_run.o $(LIBRARY)
	@mkdir -p $(@D)
	$(LINK) $(WRAP) -o $@ $^ $(LIBS)

include tests/bench/bench.mk

.SECONDARY: # kept: make would remove them as intermediate files

-include $(shell find build -name '*.d' 2>/dev/null)
