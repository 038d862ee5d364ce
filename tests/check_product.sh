#!/bin/bash
# What was built, as its users meet it: symbols, dependencies, installation,
# messages, examples. One "ok" or "not ok" line for each claim.
set -eu
cd "$(dirname "$0")/.."

work=$(mktemp -d "${TMPDIR:-/tmp}/earlgrey-product.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

claim() { # text command…: the command must succeed
    local text=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok $text"
    else
        echo "not ok $text"
        head -n 20 "$work/log" | sed 's/^/# /'
        failed=1
    fi
}

equal() { # found expected
    [ "$1" = "$2" ] || {
        printf 'found:    %s\nexpected: %s\n' "$1" "$2"
        return 1
    }
}

exports() {
    equal "$(nm -D --defined-only earlgrey.so | awk '{ print $3 }' | sort | xargs)" \
        "sqlite3_earlgrey_init sqlite3_earlgrey_nofs_init"
}
needed() {
    local found
    found=$(readelf -d earlgrey.so | sed -n 's/.*NEEDED.*\[\(.*\)\.so.*/\1/p' | sort | xargs)
    equal "$(echo "$found" | tr ' ' '\n' | grep -vxE 'libc|libm|libz|libdeflate|libarchive|libpcap|libzstd|libsnappy|liblz4|libxxhash' | xargs)" ""
}
no_sqlite_calls() {
    equal "$(nm -D --undefined-only earlgrey.so | grep -c ' sqlite3_')" 0
}
no_state() { # writable data of the engine; the API pointer that SQLite demands apart
    local found
    found=$(find build/release/ext build/release/loadable -name '*.o' -exec objdump -t {} + |
        sed -nE 's/^[0-9a-f]+ .{7} (\.(data|bss|tdata|tbss)[^[:space:]]*)[[:space:]]+[0-9a-f]+ +(\.hidden )?(.*)$/\1 \4/p' |
        awk '$1 !~ /rel\.ro/ && $1 != $2 && $2 != "sqlite3_api" { print $2 }' | sort -u | xargs)
    equal "$found" ""
}
no_machine_code() { # of this machine only
    ! grep -nE -- '-march=|-mtune=native' Makefile
}

loads() { sqlite3 -batch -cmd '.load ./earlgrey' :memory: 'SELECT earlgrey_version()' | grep -qE '^[0-9]+\.[0-9]+\.[0-9]+$'; }
loads_renamed() {
    cp earlgrey.so "$work/libearlgrey-0.1.so" &&
        sqlite3 -batch -cmd ".load $work/libearlgrey-0.1" :memory: 'SELECT earlgrey_version()'
}
nofs() {
    local all="netflow_pcap netflow_parquet netflow netflow_active netflow_top netflow_series netflow_audit netflow_loss netflow_ingest netflow_compact netflow_verify" table
    sqlite3 -batch -cmd '.load ./earlgrey sqlite3_earlgrey_nofs_init' :memory: "SELECT ip4_num('1.2.3.4')" | grep -qx 16909060 || return 1
    for table in $all; do
        sqlite3 -batch -cmd '.load ./earlgrey sqlite3_earlgrey_nofs_init' :memory: \
            "SELECT 1 FROM pragma_module_list WHERE name = '$table'" | grep -q 1 && echo "$table is there" && return 1
        sqlite3 -batch -cmd '.load ./earlgrey' :memory: \
            "SELECT 1 FROM pragma_module_list WHERE name = '$table'" | grep -q 1 || { echo "$table is missing" && return 1; }
    done
}
directonly() {
    sqlite3 -batch "$work/view.db" "CREATE TABLE t(x)"
    ! sqlite3 -batch -cmd '.load ./earlgrey' "$work/view.db" \
        "CREATE VIEW v AS SELECT * FROM netflow_pcap('samples'); SELECT count(*) FROM v" >"$work/view" 2>&1 &&
        grep -q 'unsafe use' "$work/view"
}
two_copies_load() {
    mkdir -p "$work/a" "$work/b" && cp earlgrey.so "$work/a" && cp earlgrey.so "$work/b" &&
        /usr/bin/python3 - "$work" <<'PYTHON'
import sqlite3, sys
connections = []
for folder in "ab":
    db = sqlite3.connect(":memory:")
    db.enable_load_extension(True)
    db.load_extension("%s/%s/earlgrey" % (sys.argv[1], folder))
    connections.append(db)
for db in connections:
    assert db.execute("SELECT count(*) FROM netflow_pcap('samples')").fetchone() == (8985,)
PYTHON
}

python_loads() {
    /usr/bin/python3 -c "
import sqlite3
c = sqlite3.connect(':memory:')
c.enable_load_extension(True)
c.load_extension('./earlgrey')
print(c.execute('SELECT earlgrey_version()').fetchone()[0])"
}

one_apt_line() { # of what is missing
    local out
    out=$(PKG_CONFIG_LIBDIR="$work" PKG_CONFIG_PATH= make -s need 2>&1) && return 1
    equal "$(echo "$out" | grep -c 'apt-get install')" 1 &&
        equal "$(echo "$out" | grep 'apt-get' | sed 's/.*apt-get install //')" \
            "libsqlite3-dev libpcap-dev libarchive-dev zlib1g-dev libdeflate-dev libzstd-dev libsnappy-dev liblz4-dev libxxhash-dev liblua5.4-dev libedit-dev"
}
one_apt_line_without_pkg_config() {
    local out
    out=$(make -s need PKG=no-such-program 2>&1) && return 1
    equal "$(echo "$out" | grep -c 'apt-get install')" 1 && echo "$out" | grep -q 'install pkg-config libsqlite3-dev'
}
setup_is_silent() { equal "$(tests/setup.sh demo 2>&1 && tests/setup.sh test 2>&1)" ""; }
help_is_complete() {
    local target
    for target in all demo test test-interop asan valgrind clang fuzz bench bench-data bench-guard-update format check-format install \
        uninstall clean help; do
        make -s help | grep -q "^$target " || { echo "$target" && return 1; }
    done
}

installs() {
    make -s install DESTDIR="$work/root" PREFIX=/opt/eg >/dev/null || return 1
    local home=$work/root/opt/eg
    for file in lib/earlgrey.so bin/earlgrey-lua share/earlgrey/scripts/activeflow.lua share/earlgrey/samples; do
        [ -e "$home/$file" ] || { echo "$file is missing" && return 1; }
    done
    (
        cd "$work" &&
        sqlite3 -batch -cmd ".load $home/lib/earlgrey" :memory: 'SELECT earlgrey_version()' &&
        "$home/bin/earlgrey-lua" -e 'print(require("earlgrey") ~= nil)' &&
        "$home/bin/earlgrey-lua" activeflow.lua -print 3
    )
}
uninstalls() {
    make -s uninstall DESTDIR="$work/root" PREFIX=/opt/eg &&
        equal "$(find "$work/root" -type f | xargs)" ""
}

demo() {
    ./earlgrey-lua scripts/activeflow.lua -print 10 >"$work/demo" && [ "$(wc -l <"$work/demo")" -ge 10 ]
}
help_of() {
    local out
    out=$(./earlgrey-lua "$1" --help 2>&1) && echo "$out" | grep -qi usage
}
sql_sample() { sqlite3 -batch -bail -cmd '.load ./earlgrey' :memory: <"$1"; }

claim "earlgrey.so exports its two entry points only" exports
claim "earlgrey.so needs libpcap, libarchive, zlib, libdeflate, the page codecs, xxhash and libc only" needed
claim "earlgrey.so calls SQLite through its host" no_sqlite_calls
claim "the engine keeps no global state" no_state
claim "the build is for any machine of its kind" no_machine_code
claim "sqlite3 loads it" loads
claim "it loads under another name" loads_renamed
claim "the nofs entry point opens no files" nofs
claim "views in a database file may not open files" directonly
claim "Debian's python3 loads it" python_loads
claim "two copies of it work in one process" two_copies_load
claim "make tells what is missing in one line" one_apt_line
claim "and where pkg-config is missing too" one_apt_line_without_pkg_config
claim "make help is complete" help_is_complete
if command -v apt-get >/dev/null; then
    claim "setup is silent where nothing is missing" setup_is_silent
fi
claim "make install puts it in place, and it runs from there" installs
claim "make uninstall leaves nothing" uninstalls
claim "the demo ranks ten pairs" demo
for script in scripts/*.lua; do
    claim "$script --help" help_of "$script"
done
for sample in samples/*.sql; do
    [ -e "$sample" ] && claim "$sample runs" sql_sample "$sample"
done
for sample in samples/*.lua; do
    [ -e "$sample" ] && claim "$sample runs" ./earlgrey-lua "$sample"
done

exit $failed
