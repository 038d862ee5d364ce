"""Measures Earlgrey beside other tools: the same questions, alternately, answers compared. `make bench` runs it.

    bench.py [--records N] [--runs N] [--threads N] [--only NAMES] [--tools NAMES] [--data FOLDER] [--to FOLDER] [--tap] [--list]

--only takes names of cases with blanks between, * for any text; results of other cases stay in FOLDER/results.json from earlier calls with
the same records and threads. Written there as well: bench.md, details.md, bench.svg. --tap prints a line for each
answer, for tests/run.sh; sqlite3 then answers every question.
"""

import argparse
import json
import os
import platform
import subprocess
import sys

import bench_report
from bench_data import Data, Lost
from cases import PLOTTED, cases, chosen
from measure import Failed, own_peak_bytes
from pypi_engines import ENGINES
from questions import canonical, difference
from tools import PROGRAMS, Earlgrey


class Progress:
    """What is said while it runs: to stderr for people, or as lines that tests/run.sh counts."""

    def __init__(self, tap):
        self.tap, self.failures = tap, 0

    def say(self, text):
        if not self.tap:
            print(text, file=sys.stderr, flush=True)

    def answered(self, case, tool, error):
        name = "%s: %s" % (case.name, tool.label)
        self.failures += error is not None
        if error is not None:
            print("not ok %s" % name if self.tap else "FAILED %s" % name)
            print("# " + error.replace("\n", "\n# "), flush=True)
        elif self.tap:
            print("ok " + name, flush=True)

    def left_out(self, tool, why):
        if self.tap:
            print("SKIP %s: %s" % (tool.label, why), flush=True)
        else:
            self.say("LEFT OUT: %s: %s" % (tool.label, why))


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--records", type=int, default=20000000)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    p.add_argument("--only", default="")
    p.add_argument("--tools", default="")
    p.add_argument("--data")
    p.add_argument("--to", default="build/bench")
    p.add_argument("--tap", action="store_true")
    p.add_argument("--list", action="store_true")
    return p.parse_args()


def machine():
    model = "a processor without a name"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":")[1].strip()
                break
    with open("/proc/meminfo") as f:
        memory_gib = int(f.readline().split()[1]) / 2**20
    return "%s, %d cores, %.0f GiB, %s" % (model, os.cpu_count(), memory_gib, platform.freedesktop_os_release()["PRETTY_NAME"])


# ---- The tools


def present(data, options, wanted, progress):
    """The tools that the wanted cases name and that can be asked, by name; those that are not there are named loudly."""
    names = options.tools.replace(",", " ").split()
    named = {name for case in wanted for name in case.tools} | ({"sqlite"} if options.tap else set())
    found, absent = {}, []
    for kind in (Earlgrey, *PROGRAMS, *ENGINES):
        if kind.name not in named or names and kind.name not in names:
            continue
        tool = kind(data, options.threads)
        if tool.absent is None and tool.name == "nfdump":
            tool.absent = unless_lost(data)
        if tool.absent is None:
            found[tool.name] = tool
        else:
            absent.append("%s: %s" % (tool.label, tool.absent))
            progress.left_out(tool, tool.absent)
    return found, absent


def unless_lost(data):
    """Why nfdump is left out: its collector did not get every flow."""
    try:
        data.nfdump
    except Lost as e:
        return str(e)
    return None


def tools_of(case, tools, every_question):
    names = list(case.tools) + (["sqlite"] if every_question and case.question and "sqlite" not in case.tools else [])
    return [tools[n] for n in names if n in tools and tools[n].takes(case)]


# ---- A case


def measured(case, tools, runs, data, progress):
    """Every tool `runs` times, each time another first; what was found, as bench_report wants it."""
    entries = {
        t.name: {"name": t.name, "label": t.label, "own_clock": t.own_clock, "error": None}
        | {k: [] for k in ("wall_s", "query_s", "cpu_s", "peak_bytes", "made_bytes")}
        for t in tools
    }
    expected = None
    for tool in tools:
        tool.prepare(case)
    for turn in range(runs):
        shift = turn % len(tools)  # Earlgrey's answer is the first, for the others to agree with
        for tool in tools[shift:] + tools[:shift]:
            entry = entries[tool.name]
            if entry["error"] is None:
                entry["error"], expected = asked(case, tool, data, entry, expected)
    for tool in tools:
        progress.answered(case, tool, entries[tool.name]["error"])
    return list(entries.values())


def asked(case, tool, data, entry, expected):
    """One run into `entry`: what is wrong with it, and the answer that the next ones have to agree with."""
    try:
        run, rows = tool.do(case, os.path.join(data.folder, "answer." + tool.name))
    except Failed as e:
        return str(e), expected
    if case.question is not None:
        rows = canonical(case.question, rows)
        if expected is None:
            expected = rows
        error = difference(case.question, rows, expected)
    else:
        expected = expected or rows
        error = None if rows == expected else "%r, expected %r" % (rows[:3], expected[:3])
    for key in ("wall_s", "query_s", "cpu_s", "peak_bytes", "made_bytes"):
        if getattr(run, key) is not None:
            entry[key].append(getattr(run, key))
    return error and "another answer: " + error, expected


# ---- All of it


def earlier(path, about):
    """Results of other cases, of the same data and threads; what belongs to them goes into `about`. None where there
    are none, or where another version of this program wrote them."""
    try:
        with open(path) as f:
            old = json.load(f)
        if any(old["about"][k] != about[k] for k in ("records", "threads", "machine")):
            return {}
        engines, peak = old["about"]["engines"], old["about"]["least_peak_bytes"]
        found = {c["name"]: c for c in old["cases"]}
    except (OSError, ValueError, KeyError):
        return {}
    about["engines"] = sorted({*engines, *about["engines"]})
    about["least_peak_bytes"] = max(peak, about["least_peak_bytes"])
    return found


def versions(tools):
    """Names and versions of the engines that are asked."""
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    run = lambda tool: subprocess.run([tool.python, "-c", code, tool.package], capture_output=True, text=True).stdout.strip()
    return sorted("%s %s" % (tool.label, run(tool)) for tool in tools.values() if hasattr(tool, "python"))


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(text)


def report(options, results):
    text = bench_report.markdown(results)
    write(options.to, "bench.md", text)
    write(options.to, "details.md", bench_report.details(results) + "\n")
    picture = bench_report.plot(results)
    if picture is not None:
        write(options.to, "bench.svg", picture)
    if not options.tap:
        print(text)
        print("written: bench.md, details.md, bench.svg and results.json in " + options.to)


def main():
    options = arguments()
    progress = Progress(options.tap)
    try:
        wanted = chosen(options.only.split())
    except ValueError as e:
        sys.exit("bench.py: %s" % e)
    if options.list:
        print("\n".join("%-32s %s: %s" % (c.name, c.group, c.title) for c in wanted))
        return
    data = Data(options.data or "build/bench/data-%d" % options.records, options.records, progress.say)
    tools, absent = present(data, options, wanted, progress)
    about = {"records": options.records, "threads": options.threads, "machine": machine(), "absent": absent}
    about |= {"constants": data.constants.describe(), "engines": versions(tools), "least_peak_bytes": own_peak_bytes()}
    os.makedirs(options.to, exist_ok=True)
    found = earlier(os.path.join(options.to, "results.json"), about)
    results = {"about": about, "cases": []}
    for case in wanted:
        asked_tools = tools_of(case, tools, options.tap)
        if not asked_tools:
            continue
        progress.say(case.name)
        entries = measured(case, asked_tools, options.runs, data, progress)
        found[case.name] = {"name": case.name, "group": case.group, "title": case.title, "plotted": case.name in PLOTTED, "tools": entries}
        results["cases"] = [found[c.name] for c in cases() if c.name in found]
        about["least_peak_bytes"] = max(about["least_peak_bytes"], own_peak_bytes())
        # After each case: what was measured survives an interruption.
        write(options.to, "results.json", json.dumps(results))
    report(options, results)
    sys.exit(1 if progress.failures else 0)


main()
