"""What the scripts in this folder share: a connection with Earlgrey in it, and the lines that tests/run.sh counts."""

import os
import sqlite3
import sys
import traceback

CAPTURES = "../shared/captures"
failures = 0


def connect():
    """An in-memory database with the extension; EARLGREY names another build of it."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(os.environ.get("EARLGREY", "./earlgrey"))
    return db


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def ok(name):
    print("ok " + name, flush=True)


def not_ok(name, *lines):
    global failures
    failures += 1
    print("not ok " + name)
    for line in "\n".join(str(x) for x in lines).split("\n")[:30]:
        print("# " + line[:1000])
    sys.stdout.flush()


def skip(name, why):
    print("SKIP %s: %s" % (name, why), flush=True)


def check(name, function, *args):
    """Runs a case: it passes when it raises nothing. AssertionError carries the message."""
    try:
        function(*args)
    except AssertionError as e:
        not_ok(name, e)
    except Exception:
        not_ok(name, traceback.format_exc())
    else:
        ok(name)


def equal(found, expected, what=""):
    assert found == expected, "%s: found %r, expected %r" % (what, found, expected)


def finish():
    sys.exit(1 if failures else 0)
