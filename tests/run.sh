#!/bin/bash
# Runs test suites and prints one line for each case:
#
#     ok SUITE PROGRAM: CASE       not ok SUITE PROGRAM: CASE       SKIP SUITE PROGRAM: CASE
#
# then "N passed, N failed, N skipped". Details of a failure follow its line, behind "# ".
#
#     tests/run.sh all | asan | interop | fuzz SECONDS | SUITE…
#
# Conventions for the files that it picks up:
#   tests/unit/test_*.c   cmocka programs, run in the project's root
#   tests/sql/NAME.sql    fed to sqlite3 -batch with the extension loaded, in the project's root; output and
#                         error messages together must equal NAME.out. $TMP is an empty folder of its own.
#   tests/lua/test_*.lua  run by earlgrey-lua in the project's root; prints TAP
#   tests/fuzz/fuzz_*.c   every file of corpus/NAME/ goes through LLVMFuzzerTestOneInput
#
# With CI set, what had to be skipped counts as failed.
set -eu
cd "$(dirname "$0")/.."

export LC_ALL=C TZ=UTC PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
PYTHON=/usr/bin/python3 # Debian's: its sqlite3 module can load extensions
# What malloc gives and free takes is filled with, in the suites nearest to the engine: elsewhere most of the time
# would go into filling tables that a small capture leaves all but empty.
FILL=165
SANITIZERS='-fsanitize=address,undefined -fno-sanitize-recover=all'
JOBS=$(nproc 2>/dev/null || echo 2)

pass() { echo "ok $SUITE $*"; }
skip() { echo "SKIP $SUITE $*"; }
fail() { echo "not ok $SUITE $*"; }
details() { head -n "${2:-40}" "$1" | sed 's/^/# /'; }

build() { # variant goals…
    local variant=$1
    shift
    case $variant in
    release) make -s -j"$JOBS" CC=gcc WERROR=-Werror "$@" ;;
    clang) make -s -j"$JOBS" VARIANT=clang CC=clang WERROR=-Werror "$@" ;;
    asan)
        make -s -j"$JOBS" VARIANT=asan CC=gcc WERROR=-Werror CFLAGS='-O1 -g -fno-omit-frame-pointer' \
            SANITIZE="$SANITIZERS" "$@"
        ;;
    fuzz)
        make -s -j"$JOBS" VARIANT=fuzz CC=clang CFLAGS='-O1 -g -fno-omit-frame-pointer' \
            SANITIZE="-fsanitize=fuzzer-no-link -fsanitize=address,undefined -fno-sanitize-recover=all" "$@"
        ;;
    esac
}

build_case() { # variant goals…: one line for the build
    if build "$@" >"$TMP/build.log" 2>&1; then
        pass "$1: $2 without warnings"
    else
        fail "$1: $2 without warnings"
        details "$TMP/build.log"
    fi
}

# Runs a program that prints TAP (numbered or not) or the lines above.
run_tap() { # label command…
    local label=$1 status=0 seen=0 bad=0 line word text
    shift
    "$@" >"$TMP/tap" 2>"$TMP/tap.err" || status=$?
    while IFS= read -r line; do
        if [[ $line =~ ^(ok|not\ ok|SKIP)(\ [0-9]+)?\ -\ (.*)$ || $line =~ ^(ok|not\ ok)(\ [0-9]+)\ (#\ SKIP.*)$ ||
            $line =~ ^(ok|not\ ok|SKIP)()\ (.*)$ ]]; then
            word=${BASH_REMATCH[1]} text=${BASH_REMATCH[3]}
            seen=1
            if [[ $text =~ ^(.*)#\ SKIP\ *(.*)$ ]]; then
                skip "$label: ${BASH_REMATCH[1]}${BASH_REMATCH[2]}"
            elif [ "$word" = ok ]; then
                pass "$label: $text"
            elif [ "$word" = SKIP ]; then
                skip "$label: $text"
            else
                fail "$label: $text"
                bad=1
            fi
        elif [[ $line == "# "* ]]; then
            echo "$line"
        fi
    done <"$TMP/tap"
    if [ $status != 0 ]; then
        # A case that died printed nothing: its program's status speaks for it.
        [ $bad = 1 ] && [ $status -lt 124 ] || fail "$label: ends with status $status"
        details "$TMP/tap.err"
        [ $seen = 1 ] || details "$TMP/tap"
    elif [ $seen = 0 ]; then
        pass "$label"
    fi
}

# ---- The suites. Each runs in a process of its own with SUITE and TMP set.

suite_style() {
    run_tap rules tests/check_style.sh
    run_tap documents tests/reference/check.sh
}

suite_build() {
    build_case clang all unit-bins
}

suite_product() {
    run_tap product tests/check_product.sh
    run_tap documents "$PYTHON" tests/reference/sessions.py
}

unit_in() { # variant wrapper…
    local variant=$1 bin
    shift
    for bin in $(make -s print-unit VARIANT="$variant"); do
        CMOCKA_MESSAGE_OUTPUT=TAP run_tap "$(basename "$bin")" "$@" "$bin"
    done
}
suite_unit() { MALLOC_PERTURB_=$FILL unit_in release; }
suite_unit_asan() { unit_in asan; }
valgrind_one() { # unit test
    local name said status=0
    name=$(basename "$1")
    valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect \
        --errors-for-leak-kinds=definite,indirect "$1" >"$TMP/$name" 2>&1 || status=$?
    if [ $status = 0 ]; then
        pass "$name"
    else
        grep -vE '^\[ +(RUN|OK) ' "$TMP/$name" >"$TMP/$name.short" || true
        said=$(fail "$name" && details "$TMP/$name.short")
        echo "$said"
    fi
}
suite_unit_valgrind() {
    export EARLGREY_TEST_LIGHT=1 SUITE TMP # see tests/unit/light.h
    export -f valgrind_one pass fail details
    make -s print-unit VARIANT=release | tr ' ' '\n' | xargs -P "$JOBS" -I{} bash -c 'valgrind_one {}'
}

sql_in() { # extension [preloaded library]
    local so=$1 preload=${2:-} sql name
    for sql in tests/sql/*.sql; do
        [ -e "$sql" ] || continue
        name=$(basename "$sql" .sql)
        rm -rf "$TMP/sql"
        mkdir "$TMP/sql"
        # A private home: no ~/.sqliterc. Line by line, so that errors stay among the rows.
        env HOME="$TMP/sql" TMP="$TMP/sql" ${preload:+LD_PRELOAD="$preload"} \
            stdbuf -oL sqlite3 -batch -cmd ".load $so" :memory: <"$sql" >"$TMP/out" 2>&1 || true
        if grep -q '^-- needs: ../shared/captures' "$sql" && [ ! -d ../shared/captures ]; then
            skip "$name: ../shared/captures is not there"
        elif cmp -s "$TMP/out" "${sql%.sql}.out"; then
            pass "$name"
        else
            fail "$name"
            diff -u "${sql%.sql}.out" "$TMP/out" >"$TMP/diff" || true
            details "$TMP/diff"
        fi
    done
}
suite_sql() { MALLOC_PERTURB_=$FILL sql_in ./earlgrey; }
suite_sql_asan() { sql_in ./build/asan/earlgrey "$(gcc -print-file-name=libasan.so)"; }

lua_in() { # program
    local lua
    for lua in tests/lua/test_*.lua; do
        [ -e "$lua" ] || continue
        EARLGREY_LUA=$1 TMP=$TMP run_tap "$(basename "$lua" .lua)" "$1" "$lua"
    done
}
suite_lua() { lua_in ./earlgrey-lua; }
suite_lua_asan() { lua_in ./build/asan/earlgrey-lua; }

suite_corpus() {
    local bin name n
    for bin in $(make -s print-replay VARIANT=asan); do
        name=${bin##*/replay_}
        n=$(find "tests/fuzz/corpus/$name" -type f | wc -l)
        if [ "$n" = 0 ]; then
            fail "$name: no corpus in tests/fuzz/corpus/$name"
        elif "$bin" "tests/fuzz/corpus/$name" >"$TMP/log" 2>&1; then
            pass "$name: $n inputs"
        else
            fail "$name: $n inputs"
            details "$TMP/log"
        fi
    done
}

suite_fuzz() {
    local bin name
    build fuzz fuzz-bins >"$TMP/build.log" 2>&1 || {
        fail "build"
        details "$TMP/build.log"
        return
    }
    for bin in $(make -s print-fuzz VARIANT=fuzz); do
        name=${bin##*/}
        mkdir -p "$TMP/$name" build/fuzz/found
        if "$bin" -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
            -artifact_prefix="build/fuzz/found/$name-" "$TMP/$name" "tests/fuzz/corpus/$name" >"$TMP/log" 2>&1; then
            pass "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$TMP/log") inputs in $FUZZ_SECONDS s"
        else
            fail "$name: see build/fuzz/found"
            tail -n 40 "$TMP/log" >"$TMP/tail"
            details "$TMP/tail"
        fi
    done
}

fault_in() { # variant
    mkdir -p "$TMP/captures"
    "$PYTHON" tests/interop/capture_files.py "$TMP/captures"
    run_tap alloc "build/$1/fault/fault_alloc" "$TMP/captures"
    run_tap read "build/$1/fault/fault_read" "$TMP/captures"
}
suite_fault() { fault_in release; }
suite_kills() { run_tap kills "$PYTHON" tests/fault/kills.py; }
suite_fault_asan() { fault_in asan; }

python_in() { # script args…
    run_tap "$(basename "$1" .py)" "$PYTHON" "$@"
}
suite_generated() { python_in tests/interop/generated.py; }
suite_oracle() { python_in tests/interop/oracle_captures.py; }
suite_differential() { python_in tests/interop/differential.py; }
suite_truncation() { python_in tests/interop/truncation.py; }
suite_parquet_testing() {
    make -s build/release/interop/pq_dump
    python_in tests/interop/parquet_testing.py
}
suite_oracle_asan() {
    EARLGREY=./build/asan/earlgrey LD_PRELOAD=$(gcc -print-file-name=libasan.so) \
        ASAN_OPTIONS=detect_leaks=0 python_in tests/interop/oracle_captures.py
}
suite_differential_asan() {
    EARLGREY=./build/asan/earlgrey LD_PRELOAD=$(gcc -print-file-name=libasan.so) \
        ASAN_OPTIONS=detect_leaks=0 python_in tests/interop/differential.py --queries 400 --seed 2
}

suite_bench() { # the tools that are always there; sqlite3 confirms every answer
    local tools="earlgrey sqlite cat"
    [ ! -e tests/bench/floor.c ] || tools="$tools floor"
    [ ! -e tests/bench/sql_bench.c ] || tools="$tools arrays"
    python_in tests/bench/test_bench.py
    python_in tests/bench/bench.py --tap --records 20000 --runs 2 --tools "$tools" --data "$TMP/data" --to "$TMP/report"
}
suite_guard() { python_in tests/bench/guard.py; }

suite_bench_peers() {
    python_in tests/bench/bench.py --tap --records 20000 --runs 1 --data "$TMP/data" --to "$TMP/report" \
        --tools "earlgrey duckdb polars chdb spark nfdump sqlite" \
        --only "pairs-* top-* address-* minute-* sum-* ingest-*"
}
suite_service() {
    python_in tests/interop/service.py
    python_in tests/interop/service_mongo.py # against the stand-in
}
suite_service_asan() { EARLGREY_LUA=./build/asan/earlgrey-lua python_in tests/interop/service.py; }

# The tests of MongoDB that `lua` and `service` run against a stand-in, against a real server here.
suite_mongo() {
    local go program=$PWD/build/interop/ferretdb_server lua
    if [ -z "${EARLGREY_MONGO_URI:-}" ]; then
        go=$(command -v go || ls /usr/local/go/bin/go /usr/lib/go-*/bin/go 2>/dev/null | tail -n 1)
        if [ -z "$go" ]; then
            skip "ferretdb: no Go to build it with, and no EARLGREY_MONGO_URI; the lua suite uses a stand-in"
            return
        fi
        mkdir -p build/interop
        if ! (cd tests/interop/ferretdb && "$go" build -mod=mod -o "$program" .) >"$TMP/build.log" 2>&1; then
            skip "ferretdb: it cannot be built; the lua suite uses a stand-in"
            details "$TMP/build.log"
            return
        fi
    fi
    for lua in tests/lua/test_mongo.lua tests/lua/test_store_mongo.lua; do
        EARLGREY_FERRETDB=$program TMP=$TMP run_tap "$(basename "$lua" .lua)" ./earlgrey-lua "$lua"
    done
    EARLGREY_FERRETDB=$program python_in tests/interop/service_mongo.py
}

suite_programs() { python_in tests/interop/programs.py; }
suite_engines() { python_in tests/interop/engines.py; }
suite_store_clients() { python_in tests/interop/store_clients.py; }
suite_search_clients() { python_in tests/interop/search_clients.py; }

# The longest first, so that no core is left without work at the end.
ALL="kills unit_asan unit fault_asan lua_asan lua service service_asan differential fault truncation guard
    product bench differential_asan oracle_asan sql_asan sql style corpus parquet_testing generated oracle"
ASAN="corpus unit_asan sql_asan lua_asan oracle_asan differential_asan fault_asan service_asan"

# ---- The runner

if [ "${1:-}" = --suite ]; then
    SUITE=$2
    TMP=$3/$2
    mkdir -p "$TMP"
    status=0
    SECONDS=0
    ("suite_$SUITE") >"$3/$2.log" 2>"$3/$2.err" || status=$?
    {
        if [ $status != 0 ]; then
            fail "the suite itself ended with status $status"
            details "$3/$2.err"
        elif ! grep -qE '^(ok|not ok|SKIP) ' "$3/$2.log"; then
            fail "no test ran"
        fi
        echo "# $SUITE took $SECONDS s"
    } >>"$3/$2.log"
    if [ -n "${CI:-}" ]; then
        sed -i 's/^SKIP \(.*\)/not ok \1 (skipped, which CI does not allow)/' "$3/$2.log"
    fi
    flock "$3/lock" cat "$3/$2.log"
    cat "$3/$2.log" >>"$3/results"
    exit 0
fi

FUZZ_SECONDS=30
variants="release"
case "${1:-all}" in
all) suites="build $ALL" variants="release asan" ;;
asan) suites="$ASAN" variants="asan" ;;
interop) suites="programs engines store_clients search_clients bench_peers mongo" ;;
fuzz)
    suites="fuzz" variants=""
    FUZZ_SECONDS=${2:-30}
    ;;
valgrind) suites="unit_valgrind" ;;
*)
    suites="$*"
    case " $suites " in *_asan*) variants="release asan" ;; esac
    ;;
esac
export FUZZ_SECONDS

work=$(mktemp -d "${TMPDIR:-/tmp}/earlgrey-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
: >"$work/results"
SUITE=build TMP=$work

tree() { find . -path ./.git -prune -o -path ./build -prune -o -type f ! -name earlgrey.so ! -name earlgrey-mongo.so ! -name earlgrey-lua -print | sort; }
tree >"$work/tree"

for variant in $variants; do
    goals="all unit-bins replay-bins fault-bins"
    build_case $variant $goals | tee -a "$work/results"
done
make -s build/bench/flowgen >"$work/flowgen.log" 2>&1 || cat "$work/flowgen.log"

# The two compilers' builds load both cores by themselves; the other suites run side by side.
case " $suites " in *" build "*) "$0" --suite build "$work" ;; esac
for suite in $suites; do
    [ "$suite" = build ] || echo "$suite"
done | xargs -P $((JOBS + 1)) -I{} "$0" --suite {} "$work"

SUITE=runner
if [ "$(tree)" = "$(cat "$work/tree")" ]; then
    pass "the tests leave no file in the tree"
else
    fail "the tests leave no file in the tree"
    tree | diff "$work/tree" - >"$work/left" || true
    details "$work/left"
fi | tee -a "$work/results"

passed=$(grep -c '^ok ' "$work/results" || true)
failed=$(grep -c '^not ok ' "$work/results" || true)
skipped=$(grep -c '^SKIP ' "$work/results" || true)
if [ "$failed" != 0 ]; then
    echo
    echo "failed:"
    grep '^not ok ' "$work/results" | sed 's/^not ok /    /'
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
