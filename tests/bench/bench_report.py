"""What was measured as tables of text, Markdown and a plot (SVG). Results are plain dictionaries, as results.json has them:

    {"about": {"records", "threads", "machine", "constants", "engines": […], "absent": […], "least_peak_bytes"}, "cases":
     [{"name", "group", "title", "plotted", "tools": [{"name", "label", "own_clock", "error", "wall_s": […], "query_s": […], "cpu_s": […], "peak_bytes": […], "made_bytes": […]}]}]}
"""

import html
import math
import statistics

US = "earlgrey"


def seconds(tool):
    """What a tool is judged by: its own clock where it has one (start-up, imports and session left out), else the whole
    process. None where it failed."""
    times = tool["query_s"] if tool["own_clock"] else tool["wall_s"]
    return None if tool["error"] or not times else statistics.median(times)


def of(case, name):
    return next((t for t in case["tools"] if t["name"] == name), None)


def ratio(case, tool):
    """How many times as long as Earlgrey the tool takes; None where one of them has no time."""
    ours = of(case, US)
    # Where both run inside one program that has a clock, that clock counts for both.
    mine = ours and (statistics.median(ours["query_s"]) if ours["query_s"] and not ours["error"] else seconds(ours))
    theirs = seconds(tool)
    return theirs / mine if mine and theirs else None


def time_text(s):
    if s is None:
        return "–"
    if s < 0.0995:
        return "%.1f ms" % (s * 1000) if s < 0.00995 else "%.0f ms" % (s * 1000)
    return "%.2f s" % s if s < 9.995 else "%.1f s" % s


def ratio_text(r):
    return "%.2f×" % r if r < 9.995 else "%.0f×" % r


def megabytes(n):
    return "%.0f MB" % (n / 1e6) if n >= 9.95e6 else "%.1f MB" % (n / 1e6)


def our_time(case):
    ours = of(case, US)
    return statistics.median(ours["query_s"]) if ours["query_s"] and not ours["error"] else seconds(ours)


def peak_text(tool, least_bytes):
    """Peak memory; what the measuring program itself takes hides anything below."""
    peak = statistics.median(tool["peak_bytes"]) if tool["peak_bytes"] else None
    return "" if peak is None else megabytes(peak) if peak > least_bytes * 1.1 else "< " + megabytes(least_bytes * 1.1)


def cell(case, tool, least_bytes):
    if tool is None:
        return ""
    if tool["error"]:
        return "failed"
    if tool["name"] == US:
        text = time_text(our_time(case)) + ", " + peak_text(tool, least_bytes)
    else:
        r = ratio(case, tool)
        text = time_text(seconds(tool))
        if r is not None:
            text += " (%s)" % ("**%s**" % ratio_text(r) if r < 1 else ratio_text(r))
    return text + (", makes " + megabytes(tool["made_bytes"][-1]) if tool["made_bytes"] else "")


# ---- Tables


def table(heads, rows):
    """Markdown that is also readable as text."""
    rows = [[str(c) for c in row] for row in rows]
    widths = [max(len(r[i]) for r in rows + [heads]) for i in range(len(heads))]
    line = lambda row: "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |"
    return "\n".join([line(heads), "|" + "|".join("-" * (w + 2) for w in widths) + "|"] + [line(r) for r in rows])


def group_table(cases, least_bytes):
    """The cases of a group: a row each, a column for each tool that takes part in one; Earlgrey first."""
    tools = {t["name"]: t["label"] for c in cases for t in c["tools"]}
    names = sorted(tools, key=lambda n: n != US)
    return table([cases[0]["group"]] + [tools[n] for n in names], [[c["title"]] + [cell(c, of(c, n), least_bytes) for n in names] for c in cases])


def spread(values, text):
    if not values:
        return ""
    return "%s (%s..%s)" % tuple(text(f(values)) for f in (statistics.median, min, max))


def details(results):
    """Every figure."""
    cases, least_bytes = results["cases"], results["about"]["least_peak_bytes"]
    rows = []
    for c in cases:
        for t in c["tools"]:
            if t["error"]:
                rows.append([c["name"], t["label"], t["error"].replace("|", "/").split("\n")[0][:120], "", "", "", ""])
                continue
            cpu = time_text(statistics.median(t["cpu_s"])) if t["cpu_s"] else ""
            rows.append(
                [c["name"], t["label"], len(t["wall_s"]), spread(t["wall_s"], time_text), spread(t["query_s"], time_text)]
                + [cpu, peak_text(t, least_bytes)]
            )
    return table(["case", "tool", "runs", "whole process", "own clock", "CPU", "peak memory"], rows)


def lost(cases):
    """The cases in which another tool was faster than Earlgrey, floors and cat apart."""
    found = []
    for c in cases:
        for t in c["tools"]:
            r = ratio(c, t) if t["name"] not in (US, "floor", "arrays", "cat") else None
            if r is not None and r < 1:
                found.append("%s: %s, %s" % (c["name"], t["label"], ratio_text(r)))
    return found


def groups_of(cases):
    groups = {}
    for c in cases:
        groups.setdefault(c["group"], []).append(c)
    return groups.values()


def markdown(results):
    about, cases = results["about"], results["cases"]
    tables = [group_table(group, about["least_peak_bytes"]) for group in groups_of(cases)]
    behind = lost(cases)
    runs = min((len(t["wall_s"]) for c in cases for t in c["tools"] if not t["error"]), default=0)
    lines = [
        "%s records, %d threads each, medians of at least %d runs, in turn, answers compared. %s."
        % (format(about["records"], ","), about["threads"], runs, about["machine"]),
        about["constants"] + ".",
        "Earlgrey, SQLite and nfdump: whole process, from start to exit. The engines from PyPI (%s): their own clock from the"
        " statement to its rows, so without start-up, imports and session." % (", ".join(about["engines"]) or "none asked"),
        "In brackets: how many times as long as Earlgrey; bold where less.",
    ]
    lines += ["Left out: %s." % s for s in about["absent"]]
    lines += ["", *[t + "\n" for t in tables]]
    lines.append("Cases lost:" + (" none." if not behind else "\n" + "\n".join("- " + b for b in behind)))
    return "\n".join(lines) + "\n"


# ---- Plot

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f } .small { font-size: 11px; fill: #57606a } .title { font-weight: 600 }
.grid { stroke: #d0d7de; stroke-width: 1 } .us { fill: #0969da } .other { fill: #afb8c1 } .value { font-size: 12px }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d } .us { fill: #4493f8 } .other { fill: #656c76 } }
"""
LEFT, WIDTH, RIGHT, BAR, GAP = 150, 520, 130, 18, 4  # px: labels, axis, values, a bar, between bars


def decades(values):
    """The powers of ten around the values, at least one decade."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def plot(results):
    """Bars on a logarithmic axis of seconds, a panel for each plotted case; None where there is nothing to show."""
    cases = [c for c in results["cases"] if c["plotted"] and of(c, US) and our_time(c)]
    times = [our_time(c) for c in cases] + [s for c in cases for t in c["tools"] for s in [seconds(t)] if s]
    if not times:
        return None
    low, high = decades(times)
    x = lambda s: LEFT + WIDTH * (math.log10(s) - low) / (high - low)
    parts, y = [], 24
    text = lambda at_x, at_y, kind, words, anchor="start": parts.append(
        '<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>' % (at_x, at_y, kind, anchor, html.escape(words))
    )
    for c in cases:
        text(8, y + 12, "title", "%s (%s)" % (c["title"], c["group"]))
        y += 20
        timed = [(our_time(c) if t["name"] == US else seconds(t), t) for t in c["tools"] if seconds(t)]
        for s, t in sorted(timed, key=lambda pair: pair[0]):
            kind = "us" if t["name"] == US else "other"
            text(LEFT - 8, y + 13, "", t["label"], "end")
            parts.append('<rect x="%d" y="%d" width="%.1f" height="%d" class="%s"/>' % (LEFT, y, max(x(s) - LEFT, 1), BAR, kind))
            r = "" if t["name"] == US else ", " + ratio_text(s / our_time(c))
            text(x(s) + 6, y + 13, "value", time_text(s) + r)
            y += BAR + GAP
        y += 12
    grid = []
    for d in range(low, high + 1):
        at = x(10.0**d)
        grid.append('<line x1="%.1f" y1="20" x2="%.1f" y2="%d" class="grid"/>' % (at, at, y))
        text(at, y + 16, "small", "%g s" % 10**d if d >= 0 else "%g ms" % 10 ** (d + 3), "middle")
    caption = "%s records, %d threads each; logarithmic" % (format(results["about"]["records"], ","), results["about"]["threads"])
    text(8, 14, "small", caption)
    size = 'width="%d" height="%d" viewBox="0 0 %d %d"' % ((LEFT + WIDTH + RIGHT, y + 28) * 2)
    head = '<svg xmlns="http://www.w3.org/2000/svg" %s role="img"><title>%s</title><style>%s</style>' % (size, html.escape(caption), STYLE)
    return head + "\n" + "\n".join(grid + parts) + "\n</svg>\n"
