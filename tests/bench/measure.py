"""One process from start to exit: its time, its processor time, its peak memory."""

import dataclasses
import os
import subprocess
import time


@dataclasses.dataclass
class Run:
    wall_s: float
    cpu_s: float | None  # user and system, with the children it waited for
    peak_bytes: int | None
    query_s: float | None = None  # the engine's own clock, without start-up, where it has one
    made_bytes: int | None = None  # what was stored


class Failed(Exception):
    """A command that did not end well; the message says which and what it wrote."""


def own_peak_bytes():
    """The least peak that `measure` can tell: a child starts in this process's memory, and Linux counts that."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


def forget_own_peak():
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass  # then the least peak is a little higher


def measure(command, output, environment=None):
    """Runs `command` with its stdout in the file `output`, so that no slow reader holds it up."""
    errors = output + ".err" if output != os.devnull else os.devnull
    forget_own_peak()
    with open(output, "wb") as out, open(errors, "wb") as err:
        begin = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env={**os.environ, **(environment or {})})
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            raise
        wall_s = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        with open(errors, errors="replace") as err:
            raise Failed("%s ends with status %d: %s" % (" ".join(command)[:300], child.returncode, err.read()[-1500:].strip()))
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
