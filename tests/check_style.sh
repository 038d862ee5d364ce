#!/bin/bash
# The rules of the house, checked on the files themselves. One line for each
# rule: "ok RULE" or "not ok RULE", offenders behind "# ".
set -eu
cd "$(dirname "$0")/.."

shopt -s lastpipe # rule keeps count in this shell

failed=0
# Reads the offenders from stdin: none is a pass.
rule() {
    local found
    found=$(cat)
    if [ -z "$found" ]; then
        echo "ok $1"
    else
        echo "not ok $1"
        echo "$found" | head -n 20 | sed 's/^/# /'
        failed=1
    fi
}

sources=$(find ext lua tests -name '*.[ch]' | sort)
engine=$(find ext -name '*.[ch]' | sort)
# The tree as a clone would have it.
tree=$(find . -path ./.git -prune -o -path ./build -prune -o -name '*.o' -prune -o -type f -print |
    grep -v -e '^./earlgrey.so$' -e '^./earlgrey-mongo.so$' -e '^./earlgrey-lua$' -e '/__pycache__/' | sed 's,^\./,,' | sort)

# C without comments and string contents, "file:line:text" for each line that has a match.
grep_code() { # regex files…
    local regex=$1
    shift
    [ $# = 0 ] || awk -v regex="$regex" '
        FNR == 1 { comment = 0 }
        {
            line = $0; out = ""
            while (line != "") {
                if (comment) {
                    end = index(line, "*/")
                    if (end == 0) break
                    comment = 0; line = substr(line, end + 2)
                } else if (substr(line, 1, 2) == "/*") {
                    comment = 1; line = substr(line, 3)
                } else if (match(line, /^"(\\.|[^"\\])*"/)) {
                    out = out "\"\""; line = substr(line, RLENGTH + 1)
                } else {
                    out = out substr(line, 1, 1); line = substr(line, 2)
                }
            }
            if (out ~ regex) print FILENAME ":" FNR ":" $0
        }' "$@"
}

# ---- Form

clang-format --dry-run $sources 2>&1 | grep 'warning:\|error:' | head -n 10 | rule "clang-format agrees"

grep -nP '\t' $(echo "$tree" | grep -E '\.(c|h|def|lua|sh|py|sql)$') /dev/null | grep -v '^tests/sql/' | rule "no tabs in sources"
grep -nE ' +$' $(echo "$tree" | grep -E '\.(c|h|def|lua|sh|py|md)$|Makefile$') /dev/null | rule "no blanks at line ends"
grep -nE '^ ?\*[[:alpha:]]' $(echo "$tree" | grep -E '\.[ch]$') /dev/null | rule "comments are whole after clang-format has broken their lines"

# Other names would be looked for twice. README.md and the corpora apart.
echo "$tree" | grep -vE '(^|/)README\.md$|^tests/fuzz/corpus/|^\.|^samples/|^tests/data/|^tests/sql/' |
    sed 's,.*/,,' | sort | uniq -d | rule "file names are unique"
echo "$tree" | grep -iE '(^|/)(utils?|misc|helpers?|common)\.[a-z]+$' | rule "no file without a subject"
wc -l $(echo "$tree" | grep -E '\.(c|h|lua)$') /dev/null | awk '$1 > 1200 && $2 != "total" { print $2 ": " $1 " lines" }' |
    rule "no source above 1200 lines"
awk 'END { if (NR >= 250) print NR " lines" }' Makefile | rule "Makefile below 250 lines"

# ---- Includes

echo "$sources" | xargs awk '/^# *include *"[^"]*\.c"/ { print FILENAME ":" FNR ": " $0 }' | rule "no .c file is included"

# base <- flow <- {capture, parquet} <- dataset <- query <- sqlite <- extension
for file in $engine; do
    folder=$(echo "$file" | cut -d/ -f2)
    case $folder in
    base) may="base" ;;
    flow) may="base flow" ;;
    capture) may="base flow capture" ;;
    parquet) may="base flow parquet" ;;
    dataset) may="base flow capture parquet dataset" ;;
    query) may="base flow query" ;;
    sqlite) may="base flow capture parquet dataset query sqlite earlgrey.h" ;;
    extension.c) may="base flow sqlite earlgrey.h" ;;
    earlgrey.h) may="" ;;
    *) echo "$file: which folder is this?" && continue ;;
    esac
    awk -v file="$file" -v may=" $may " '
        /^# *include *"/ {
            split($0, part, "\"")
            top = part[2]; sub("/.*", "", top)
            if (top !~ /^sqlite3(ext)?\.h$/ && index(may, " " top " ") == 0)
                print file ":" FNR ": includes " part[2]
        }' "$file"
done | rule "includes in ext/ follow the arrow"

for file in $engine; do
    case $file in ext/sqlite/*.c | ext/sqlite/*.h | ext/extension.c) ;; *) echo "$file" ;; esac
done | xargs grep -nE '# *include *[<"]sqlite3(ext)?\.h' /dev/null | rule "sqlite3.h is known in ext/sqlite only"
echo "$sources" | grep -v '^lua/' | xargs grep -nE '# *include *[<"](lua|lualib|lauxlib)\.h' /dev/null |
    rule "lua.h is known in lua/ only"
find ext/capture ext/base ext/flow ext/query -name '*.[ch]' | grep -vE 'ext/capture/(stream|savefile_libpcap)\.c' |
    xargs grep -nE '# *include *<(archive|archive_entry|pcap|pcap/pcap)\.h' /dev/null |
    rule "libarchive and libpcap are known in one file each"

# ---- What a library must not do

grep_code '(^|[^A-Za-z0-9_])(printf|fprintf|vprintf|vfprintf|puts|putchar|fputs|fputc|perror)[ ]*\\(' $engine |
    rule "ext/ prints nothing"
grep_code '(^|[^A-Za-z0-9_])(exit|_exit|_Exit|abort|assert|longjmp|siglongjmp|setjmp|signal|sigaction|fork|system|popen)[ ]*\\(' $engine |
    rule "ext/ never ends or jumps"
grep_code '(^|[^A-Za-z0-9_])(strcpy|strcat|sprintf|vsprintf|gets|strtok|localtime|gmtime|setlocale|setenv|chdir|alloca|sscanf|atoi)[ ]*\\(' $engine |
    rule "ext/ calls nothing unbounded or shared"
grep_code '(^|[^A-Za-z0-9_])(asprintf|vasprintf|reallocarray|posix_memalign|memalign|valloc|open_memstream|getline)[ ]*\\(' $engine |
    rule "ext/ allocates by the functions that the fault tests can fail"

# ---- Complete lists

for file in $(find ext lua -name '*.c') $(find tests/unit tests/fuzz -name '*.c' ! -name replay.c); do
    name=$(basename "$file")
    case $file in tests/unit/*) name=${name%.c} ;; tests/fuzz/*) name=${name#fuzz_} name=${name%.c} ;; esac
    grep -qE "(^|[[:space:]/])${name//./\\.}([[:space:]]|\$)" Makefile || echo "$file"
done | rule "every C file is in the Makefile's lists"
for file in tests/sql/*; do
    case $file in
    *.sql) [ -e "${file%.sql}.out" ] || echo "$file has no .out" ;;
    *.out) [ -e "${file%.out}.sql" ] || echo "$file has no .sql" ;;
    */'*') ;;
    *) echo "$file is neither .sql nor .out" ;;
    esac
done | rule "SQL tests have their expected output"
for file in tests/unit/test_*.c; do
    [ -e "$file" ] || continue
    name=$(basename "$file" .c)
    find ext -name "${name#test_}.c" | grep -q . || echo "$file: no source of that name"
done | rule "unit tests are named after sources"

for file in $(echo "$tree" | grep -E '\.sh$|^\.ci/run$'); do
    bash -n "$file" 2>&1
    [ -x "$file" ] || echo "$file: not executable"
done | rule "shell scripts parse and are executable"
for file in $(echo "$tree" | grep -E '\.py$'); do
    /usr/bin/python3 - "$file" <<'PY' 2>&1 | tail -n 1
import ast, sys
ast.parse(open(sys.argv[1]).read(), sys.argv[1])
PY
done | rule "Python scripts parse"

# ---- What the documents say

documents=$(echo "$tree" | grep -E '\.md$' | grep -v '^tests/fuzz/corpus/')
for file in $documents; do
    # Only in code: `make x` and lines that are indented or fenced.
    grep -oE '(^ {4,}|`|\$ |^)make +[a-z][a-z-]*' "$file" | sed -E 's/.*make +//' | sort -u | while read -r target; do
        cat Makefile tests/bench/bench.mk | grep -qE "^$target:" || echo "$file: make $target"
    done
done | rule "make targets in the documents exist"
for file in $documents; do
    grep -oE '(^|[ `(/.])(ext|lua|scripts|samples|tests|docs)/[A-Za-z0-9_./-]*[A-Za-z0-9_/]' "$file" |
        sed -E 's/^[ `(/.]+//' | sort -u | while read -r path; do
        [ -e "$path" ] || [ -e "$(dirname "$file")/$path" ] || echo "$file: $path"
    done
done | rule "files in the documents exist"
if [ -e ext/README.md ]; then
    for file in $engine $(find ext -name '*.def'); do
        name=$(basename "$file")
        grep -qF "${name%.*}." ext/README.md || echo "$file"
    done
else
    echo "ext/README.md is missing"
fi | rule "ext/README.md names every source"

exit $failed
