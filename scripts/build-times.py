#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the dev preset from nothing, without the compiler cache, and holds every file against its budget.

    build-times.py [--keep]   the build folder is build/times; it is removed unless --keep

Exit 1 when the whole build or one translation unit is over budget. Figures are of this machine and this moment:
nothing else should run.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
BUILD = SOURCE / "build" / "times"
CLEAN_BUILD_SECONDS_MAX = 180     # two cores
UNIT_SECONDS_MAX = 30             # a file that costs more has too much in it
UNITS_SHOWN = 12


def units():
    """(seconds, output) per object file, from ninja's own log; a later line for the same output wins."""
    times = {}
    for line in (BUILD / ".ninja_log").read_text().splitlines()[1:]:
        begin, end, _, output, _ = line.split("\t")
        times[output] = (int(end) - int(begin)) / 1000
    return sorted(((seconds, output) for output, seconds in times.items() if output.endswith(".o")), reverse=True)


def main():
    shutil.rmtree(BUILD, ignore_errors=True)
    uncached = dict(os.environ, CCACHE_DISABLE="1")
    subprocess.run(["cmake", "--preset", "dev", "-B", str(BUILD)], cwd=SOURCE, check=True, stdout=subprocess.DEVNULL)
    begin = time.monotonic()
    subprocess.run(["cmake", "--build", str(BUILD), "-j", "2"], check=True, env=uncached, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - begin
    slow = units()
    for seconds, output in slow[:UNITS_SHOWN]:
        print(f"{seconds:7.1f} s  {output}")
    print(f"{whole:7.1f} s  clean dev build, two jobs (at most {CLEAN_BUILD_SECONDS_MAX})")
    over = [output for seconds, output in slow if seconds > UNIT_SECONDS_MAX]
    for output in over:
        print(f"build-times: {output} takes more than {UNIT_SECONDS_MAX} s", file=sys.stderr)
    if "--keep" not in sys.argv:
        shutil.rmtree(BUILD)
    return 1 if over or whole > CLEAN_BUILD_SECONDS_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
