"""Pythons with packages from PyPI, in virtual environments below build/interop."""

import fcntl
import os
import subprocess

MODULES = {"opensearch-py": "opensearchpy"}


def module_of(package):
    name = package.split("==")[0]
    return MODULES.get(name, name)


def python_with(name, *packages):
    """The Python of environment `name`, made where it lacks one of the packages (which are imported by the names they
    are installed by, a version aside, or by those of MODULES). None where they cannot be had."""
    folder = os.path.join("build", "interop", name)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # suites that run side by side ask for the same one
        return made(folder, packages)


def made(folder, packages):
    python = os.path.join(folder, "bin", "python")
    have = [python, "-c", "import " + ", ".join(map(module_of, packages))]
    if os.path.exists(python) and subprocess.run(have, capture_output=True).returncode == 0:
        return python
    for command in (["/usr/bin/python3", "-m", "venv", folder], [python, "-m", "pip", "install", "--quiet", *packages]):
        if subprocess.run(command, capture_output=True).returncode != 0:
            return None
    return python
