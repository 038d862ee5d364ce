#!/bin/bash
# The README's tables are those of the code: compares what stands between the
# lines <!-- columns --> and <!-- end columns --> (and reasons) with what
# tables.c prints. `check.sh write` puts them there instead.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${CC:-gcc}" -std=c11 -Iext -o "$work/tables" tests/reference/tables.c
status=0
for name in columns reasons; do
    "$work/tables" "$name" >"$work/new"
    sed -n "/^<!-- $name -->\$/,/^<!-- end $name -->\$/p" README.md | sed '1d;$d' >"$work/old"
    if [ "${1:-}" = write ]; then
        sed -i -e "/^<!-- $name -->\$/,/^<!-- end $name -->\$/{//!d}" \
            -e "/^<!-- $name -->\$/r $work/new" README.md
    elif cmp -s "$work/old" "$work/new"; then
        echo "ok - README's table of $name is the code's"
    else
        echo "not ok - README's table of $name is the code's: run tests/reference/check.sh write"
        diff "$work/old" "$work/new" | sed 's/^/# /' || true
        status=1
    fi
done
exit $status
