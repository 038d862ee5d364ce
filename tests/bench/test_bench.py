"""What bench.py and guard.py conclude: answers compared, ratios, tables, the plot, counts and verdicts."""

import os
import sys
import tempfile
import xml.etree.ElementTree

import bench_report
import cases
import guard
from measure import Failed, measure
from questions import Question, canonical, difference

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "interop"))
from report import check, equal, finish  # noqa: E402

TOP = Question("top", ("srcaddr",), sums=("bytes", "flows"))
PAIRS = Question("pairs", sums=("bytes",))


# ---- Answers


def forms_of_values():
    expected = [(16909060, 7, 1)]
    for row in (["1.2.3.4", "7", "1"], [16909060, 7, 1]):
        equal(canonical(TOP, [row]), expected)
    prefix = [["1.2.3.", 7, 1]], [["1.2.3.0/24", 7, 1]], [[16909056, 7, 1]]
    equal([canonical(TOP, p) for p in prefix], [[(16909056, 7, 1)]] * 3)
    equal(canonical(PAIRS, [["9.9.9.9", "10.0.0.1", 5]]), canonical(PAIRS, [["10.0.0.1", "9.9.9.9", 5]]))


def differences_seen():
    a = canonical(TOP, [["1.1.1.1", 9, 1], ["2.2.2.2", 5, 1], ["3.3.3.3", 2, 1]])
    equal(difference(TOP, a, a), None)
    for other in (
        [["1.1.1.1", 9, 1], ["2.2.2.2", 5, 1]],  # a row short
        [["1.1.1.1", 9, 1], ["2.2.2.2", 5, 2], ["3.3.3.3", 2, 1]],  # other flows
        [["1.1.1.1", 9, 1], ["2.2.2.3", 5, 1], ["3.3.3.3", 2, 1]],  # another key
        [["1.1.1.1", 9, 1], ["2.2.2.2", 5, 1], ["3.3.3.3", 3, 1]],  # other bytes in the last place
        [],
    ):
        assert difference(TOP, canonical(TOP, other), a), other
    assert difference(TOP, [], []), "nothing agrees with nothing"


def ties_allowed():
    """Of keys with the same bytes in the last place any may be shown, others not."""
    a = canonical(TOP, [["1.1.1.1", 9, 1], ["2.2.2.2", 5, 1]])
    equal(difference(TOP, canonical(TOP, [["1.1.1.1", 9, 1], ["8.8.8.8", 5, 3]]), a), None)
    assert difference(TOP, canonical(TOP, [["8.8.8.8", 9, 1], ["2.2.2.2", 5, 1]]), a)
    rows = Question("rows")
    assert difference(rows, canonical(rows, [[1, 5]]), canonical(rows, [[2, 5]])), "rows have no last place"


def unsaid_values():
    expected = canonical(TOP, [["1.1.1.1", 9, 1], ["2.2.2.2", 5, 3]])
    equal(difference(TOP, canonical(TOP, [["1.1.1.1", 9, None], ["2.2.2.2", 5, None]]), expected), None)
    assert difference(TOP, canonical(TOP, [["1.1.1.1", 8, None], ["2.2.2.2", 5, None]]), expected)


def cases_by_name():
    names = [c.name for c in cases.cases()]
    equal(len(names), len(set(names)), "names are unique")
    equal([c.name for c in cases.chosen(["pairs-text", "store"])], ["pairs-text", "store"])
    assert set(cases.PLOTTED) <= set(names), set(cases.PLOTTED) - set(names)
    try:
        cases.chosen(["pairs-text", "no-such-case"])
    except ValueError as e:
        assert "no-such-case" in str(e) and "pairs-text," not in str(e)
    else:
        raise AssertionError("an unknown name is accepted")


# ---- Measuring


def child_measured():
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        work = "x = bytearray(120 << 20); import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass\nprint(len(x))"
        run = measure([sys.executable, "-c", work], out)
        equal(open(out).read(), "125829120\n")
        assert run.peak_bytes > 120 << 20 and 0.2 <= run.cpu_s < 60 and run.wall_s > 0.19, run
        # What the driver once held is not the next child's.
        ballast = bytearray(300 << 20)
        del ballast
        assert measure(["true"], out).peak_bytes < 200 << 20, "the peak of the measuring program is told as the child's"
        try:
            measure([sys.executable, "-c", "import sys; sys.exit('no such thing')"], out)
        except Failed as e:
            assert "status 1" in str(e) and "no such thing" in str(e)
        else:
            raise AssertionError("a failure is not seen")


# ---- Tables and plot


def tool(name, wall_s, query_s=(), error=None, own_clock=False):
    figures = {"wall_s": list(wall_s), "query_s": list(query_s), "cpu_s": list(wall_s), "peak_bytes": [50e6] * len(wall_s), "made_bytes": []}
    return {"name": name, "label": name.title(), "own_clock": own_clock, "error": error, **figures}


def results(*more):
    ours = tool("earlgrey", [0.3, 0.1, 0.2])
    case = {"name": "pairs-text", "group": "pairs text", "title": "pairs & more", "plotted": True, "tools": [ours, *more]}
    about = {"records": 20000, "threads": 2, "machine": "M", "absent": ["Duck: not here"], "constants": "C", "engines": ["E"], "least_peak_bytes": 20e6}
    return {"about": about, "cases": [case]}


def ratios():
    whole, clock = tool("sqlite", [0.5, 0.4, 0.6]), tool("duckdb", [9, 9, 9], [0.1, 0.05, 0.15], own_clock=True)
    case = results(whole, clock)["cases"][0]
    equal(round(bench_report.ratio(case, whole), 6), 2.5)
    equal(round(bench_report.ratio(case, clock), 6), 0.5)
    equal(bench_report.ratio(case, tool("spark", [], error="died")), None)
    text = bench_report.markdown(results(whole, clock, tool("spark", [1], error="died")))
    for expected in ("0.20 s, 50 MB", "0.50 s (2.50×)", "0.10 s (**0.50×**)", "failed", "at least 3 runs", "Left out: Duck: not here", "- pairs-text: Duckdb, 0.50×"):
        assert expected in text, expected + " is not in\n" + text
    assert "Cases lost: none" in bench_report.markdown(results(whole))


def tables_are_whole():
    text = bench_report.markdown(results(tool("sqlite", [1, 1, 1])))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    equal(len({len(line) for line in lines}), 1, "lines of one width")
    details = bench_report.details(results(tool("spark", [1], error="a|b\nmore")))
    assert "0.20 s (0.10 s..0.30 s)" in details and "a/b" in details and "50 MB" in details, details
    hidden = results()
    hidden["about"]["least_peak_bytes"] = 50e6
    assert "0.20 s, < 55 MB" in bench_report.markdown(hidden) and "< 55 MB" in bench_report.details(hidden)


def plot_is_true():
    svg = bench_report.plot(results(tool("sqlite", [2, 2, 2]), tool("spark", [], error="died")))
    root = xml.etree.ElementTree.fromstring(svg)
    widths = [float(e.get("width")) for e in root.iter() if e.tag.endswith("rect")]
    equal(len(widths), 2, "bars")
    # 0.2 s and 2 s stand a decade apart; the axis has two of them.
    equal(round(widths[1] - widths[0], 1), round(bench_report.WIDTH / 2, 1))
    texts = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert "Earlgrey" in texts and "2.00 s, 10×" in texts and any("pairs & more" in t for t in texts), texts
    assert "prefers-color-scheme: dark" in svg
    empty = results()
    empty["cases"][0]["plotted"] = False
    equal(bench_report.plot(empty), None)


# ---- The guard

CALLGRIND = """events: Ir
summary: 1000

ob=(1) /x/earlgrey.so
fl=(1) a.c
fn=(1) scan
10 100
+2 20
cob=(2) /lib/libc.so.6
cfn=(2) memcpy
calls=3 0
10 500
* 3

ob=(2)
fn=(2)
0 500

fn=(3) other
ob=(1)
fn=(4) more
-1 7
"""


def counts_of_object():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "callgrind.out")
        with open(path, "w") as f:
            f.write(CALLGRIND)
        equal(guard.in_object(path, "earlgrey.so"), 130)
        equal(guard.in_object(path, "libc.so.6"), 500)
        equal(guard.in_object(path, "libz.so.1"), 0)


def guard_verdicts():
    good = lambda found, recorded: guard.verdict("p", found, recorded)[1]
    equal([good(1100, 1000), good(1101, 1000), good(10, 1000), good(5, None), good("it died", 1000)], [True, False, True, False, False])
    assert "bench-guard-update" in guard.verdict("p", 1200, 1000)[0]


def guard_file_names_paths():
    counts, built = guard.read_file()
    equal(sorted(counts), sorted(path for path, _ in guard.PATHS))
    assert built and min(counts.values()) > 100000, counts


def main():
    check("one value in several forms is one value", forms_of_values)
    check("an answer that differs is seen", differences_seen)
    check("keys that share the last place may differ", ties_allowed)
    check("what a tool does not say is not compared", unsaid_values)
    check("cases are chosen by name", cases_by_name)
    check("time, memory and failure of a child", child_measured)
    check("ratios and lost cases", ratios)
    check("tables are whole", tables_are_whole)
    check("bars of the plot are as long as they should be", plot_is_true)
    check("instructions of one object", counts_of_object)
    check("growth above ten percent fails the guard", guard_verdicts)
    check("the guard's file names every path", guard_file_names_paths)


main()
finish()
