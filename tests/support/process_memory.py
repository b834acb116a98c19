# SPDX-License-Identifier: Apache-2.0
"""All that a process holds, as root sees it: memory, environment, arguments, open files."""

import os
from pathlib import Path


def memory_of(pid):
    """(place, bytes) of every readable mapping of a process, its environment, arguments and open files."""
    for name in ("environ", "cmdline", "auxv"):
        yield name, Path(f"/proc/{pid}/{name}").read_bytes()
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, mode, *_ = line.split()
            if mode[0] != "r" or line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(begin)
                yield line.strip(), memory.read(end - begin)
            except (OSError, OverflowError):
                continue
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(descriptor)
        yield f"descriptor {descriptor.name}", target.encode()
        if target.startswith("/") and Path(descriptor).is_file():
            yield target, Path(descriptor).read_bytes()
