"""The README's sessions are real: runs every command that stands there behind "$ " and compares what it prints with
what stands below it; and runs the code of the notebooks in samples/. Prints one TAP line for each."""
import glob
import json
import os
import subprocess
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
failed = False


def say(ok, claim, details=""):
    global failed
    failed |= not ok
    print(("ok - " if ok else "not ok - ") + claim)
    for line in details.splitlines():
        print("# " + line)


def sessions(text):
    """Pairs of a command and its expected output. A command goes on over lines indented by four more spaces."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if not lines[at].startswith("    $ "):
            at += 1
            continue
        command = [lines[at][6:]]
        at += 1
        while at < len(lines) and lines[at].startswith("            "):
            command.append(lines[at][4:])
            at += 1
        output = []
        while at < len(lines) and lines[at].startswith("    ") and not lines[at].startswith("    $ "):
            output.append(lines[at][4:])
            at += 1
        yield "\n".join(command), "\n".join(output).rstrip("\n")


count = 0
for command, expected in sessions(open("README.md", encoding="utf-8").read()):
    run = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         stdin=subprocess.DEVNULL, timeout=60)
    found = run.stdout.rstrip("\n")
    same = [line.rstrip() for line in found.split("\n")] == [line.rstrip() for line in expected.split("\n")]
    say(same, "README: " + " ".join(command.split())[:90], "" if same else "expected:\n%s\nfound:\n%s" % (expected, found))
    count += 1
say(count >= 5, "README has sessions", "%d found" % count if count < 5 else "")

for path in sorted(glob.glob("samples/*.ipynb")):
    cells = [c for c in json.load(open(path, encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    program = "\n".join("".join(c["source"]) for c in cells)
    run = subprocess.run(["/usr/bin/python3", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    say(run.returncode == 0 and len(run.stdout) > 200, path + " runs", "" if run.returncode == 0 else run.stdout)
sys.exit(failed)
