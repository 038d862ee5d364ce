#!/bin/sh
# Installs the Debian packages that a make target needs and that are missing.
#
#     tests/setup.sh demo|test|interop|bench
#
# Silent where nothing is missing, and then needs neither root nor network.
set -eu

build="gcc make pkg-config libc6-dev sqlite3 libsqlite3-dev libpcap-dev libarchive-dev zlib1g-dev libdeflate-dev libzstd-dev libsnappy-dev liblz4-dev libxxhash-dev
    liblua5.4-dev libedit-dev"
case "${1:-}" in
demo) wanted="$build" ;;
test) wanted="$build libcmocka-dev clang libclang-rt-14-dev clang-format valgrind
    python3 python3-minimal binutils zstd xz-utils lz4 bzip2 gzip strace" ;;
interop) wanted="$build python3 python3-minimal tshark python3-venv python3-apsw openjdk-17-jre-headless nfdump" ;;
bench) wanted="$build python3 python3-minimal python3-venv openjdk-17-jre-headless nfdump" ;;
*)
    echo "usage: tests/setup.sh demo|test|interop|bench" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    exit 0 # not Debian: the build itself says what it misses
fi

missing=
for package in $wanted; do
    # db:Status-Status stays empty or "not-installed" for a package that is not there.
    if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]; then
        missing="$missing $package"
    fi
done
[ -n "$missing" ] || exit 0

root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "missing packages; as root, run: apt-get install$missing" >&2
        exit 1
    fi
    root=sudo
fi

apt() {
    $root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" >&2
}

echo "installing:$missing" >&2
# The lists of a fresh machine are empty, those of an old one may name packages that are gone.
if ! apt install -y --no-install-recommends $missing 2>/dev/null; then
    apt update
    apt install -y --no-install-recommends $missing
fi
