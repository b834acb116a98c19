#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks for a canary secret where it must not be: bytes, files, and the memory of processes, in every coding in which
software is likely to have put it down by accident (or an upstream on purpose).

    leak_sweep.py --secret-file FILE [--file FILE] [--folder FOLDER] [--pid PID] [--all-processes]

Exit codes: 0 nothing found, 3 found (one line per place), 1 a named place could not be searched, 2 usage. A process
that ends during the search counts as searched. The searcher never looks into itself; run inside a mission it would be
found by its own agent, so there `--xor-file` takes the secret with every byte xored with 0x5a.
"""

import argparse
import base64
import functools
import json
import os
import re
import stat
import sys
import urllib.parse
from pathlib import Path
from typing import NamedTuple

XOR = 0x5A
CHUNK_BYTES = 16 * 1024 * 1024
EXIT_FOUND = 3
UNREADABLE_MAPPINGS = ("[vvar]", "[vvar_vclock]", "[vsyscall]")


class Hit(NamedTuple):
    encoding: str
    offset: int


class Unreadable(Exception):
    """A place that was named and could not be searched."""


def base64_core(secret, alphabet, shift):
    """The characters that every base64 text shows when the secret lies `shift` bytes behind a multiple of three."""
    text = alphabet(bytes(shift) + secret).rstrip(b"=")
    # A character holds 6 bits; those at both ends that share bits with neighbours say nothing about the secret.
    first = -(-shift * 8 // 6)
    last = (shift + len(secret)) * 8 // 6
    return text[first:last]


@functools.lru_cache(maxsize=64)
def encodings(secret):
    """Name of a coding → the bytes to look for. Letters of hexadecimal digits are looked for in either case."""
    text = secret.decode("latin-1")
    found = {"raw": secret, "reversed": secret[::-1]}
    for shift in range(3):
        found[f"base64+{shift}"] = base64_core(secret, base64.b64encode, shift)
        found[f"base64url+{shift}"] = base64_core(secret, base64.urlsafe_b64encode, shift)
    found["base32"] = base64.b32encode(secret).rstrip(b"=")[:len(secret) * 8 // 5]
    found["hex"] = secret.hex().encode()
    found["percent"] = "".join(f"%{byte:02x}" for byte in secret).encode()
    found["percent where needed"] = urllib.parse.quote(secret, safe="").encode()
    found["json \\u00xx"] = "".join(f"\\u{byte:04x}" for byte in secret).encode()
    found["json where needed"] = json.dumps(text)[1:-1].encode()
    found["\\xNN"] = "".join(f"\\x{byte:02x}" for byte in secret).encode()
    found["utf-16le"] = text.encode("utf-16-le")
    found["utf-16be"] = text.encode("utf-16-be")
    return {name: pattern for name, pattern in found.items() if pattern}


ANY_CASE = {"hex", "percent", "json \\u00xx", "\\xNN", "base32"}


def decoded_views(data):
    """The data with one layer of mixed escaping taken away, where there is any: `sec%72et`, `sec\\u0072et`, a base64
    text broken into lines."""
    if b"%" in data:
        yield "percent, partly", urllib.parse.unquote_to_bytes(data)
    if b"\\" in data:
        unescaped = re.sub(rb"\\u00([0-9A-Fa-f]{2})|\\x([0-9A-Fa-f]{2})",
                           lambda match: bytes.fromhex((match[1] or match[2]).decode()), data)
        yield "escaped, partly", unescaped.replace(b"\\/", b"/")
    if b"\n" in data:
        yield "broken into lines", data.replace(b"\r", b"").replace(b"\n", b"")


def find_plainly(data, patterns):
    lowered = data.lower()
    for name, pattern in patterns.items():
        offset = lowered.find(pattern.lower()) if name in ANY_CASE else data.find(pattern)
        if offset >= 0:
            yield Hit(name, offset)


def find_in_bytes(data, secret):
    """The codings in which `data` holds `secret`, each with its first place; empty means clean."""
    if len(secret) < 8:
        raise ValueError("a canary shorter than 8 bytes is found by chance")
    data = bytes(data)
    patterns = encodings(bytes(secret))
    hits = list(find_plainly(data, patterns))
    for name, view in decoded_views(data):
        if hits:
            break
        hits.extend(Hit(f"{hit.encoding} ({name})", hit.offset) for hit in find_plainly(view, patterns))
    return hits


def find_in_stream(read, secret):
    """The same over read(size), in pieces that overlap by more than the longest coding."""
    overlap = max(len(pattern) for pattern in encodings(bytes(secret)).values()) * 2
    kept, position, hits = b"", 0, []
    while piece := read(CHUNK_BYTES):
        window = kept + piece
        for hit in find_in_bytes(window, secret):
            if hit.encoding not in {earlier.encoding for earlier in hits}:
                hits.append(Hit(hit.encoding, position - len(kept) + hit.offset))
        position += len(piece)
        kept = window[-overlap:]
    return hits


def sweep_file(path, secret):
    """(place, hit) of one file: its content, its name, where it points to, its extended attributes."""
    path = Path(path)
    try:
        mode = path.lstat().st_mode
        yield from ((f"name of {path}", hit) for hit in find_in_bytes(os.fsencode(path.name), secret))
        if stat.S_ISLNK(mode):
            target = os.fsencode(os.readlink(path))
            yield from ((f"target of {path}", hit) for hit in find_in_bytes(target, secret))
        if stat.S_ISREG(mode):
            with path.open("rb", buffering=0) as file:
                yield from ((str(path), hit) for hit in find_in_stream(file.read, secret))
            for name in os.listxattr(path, follow_symlinks=False):
                value = os.getxattr(path, name, follow_symlinks=False)
                yield from ((f"{name} of {path}", hit) for hit in find_in_bytes(value, secret))
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error


def sweep_folder(folder, secret, but=()):
    """Everything below a folder, links not followed, files named in `but` left out."""
    folder = Path(folder)
    if not folder.is_dir():
        raise Unreadable(f"{folder}: not a folder")

    def refuse(error):
        raise Unreadable(f"{error.filename}: {error.strerror}") from error

    for root, folders, files in os.walk(folder, onerror=refuse):
        for name in sorted(folders + files):
            if name not in but:
                yield from sweep_file(Path(root, name), secret)


def readable_mappings(pid):
    """(begin, end, line) of what a process can read of its own memory."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            span, mode = line.split()[:2]
            if mode.startswith("r") and not line.rstrip().endswith(UNREADABLE_MAPPINGS):
                begin, end = (int(part, 16) for part in span.split("-"))
                yield begin, end, line.strip()


def sweep_memory(pid, secret):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for begin, end, line in readable_mappings(pid):
            position = begin

            def read(size, end=end):
                nonlocal position
                piece = os.pread(memory.fileno(), min(size, end - position), position)
                position += len(piece)
                return piece
            try:
                yield from ((f"memory: {line}", hit) for hit in find_in_stream(read, secret))
            except (OSError, OverflowError):
                continue  # unmapped meanwhile, or pages behind the end of a file


def sweep_descriptors(pid, secret):
    for descriptor in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
        link = f"/proc/{pid}/fd/{descriptor}"
        try:
            target = os.fsencode(os.readlink(link))
            yield from ((f"descriptor {descriptor}", hit) for hit in find_in_bytes(target, secret))
            if stat.S_ISREG(os.stat(link).st_mode):
                with open(link, "rb", buffering=0) as file:
                    yield from ((f"file of descriptor {descriptor}", hit) for hit in find_in_stream(file.read, secret))
        except (FileNotFoundError, PermissionError):
            continue  # closed meanwhile, or opened for writing only


def sweep_process(pid, secret):
    """(place, hit) of one process: memory, environment, arguments, name, threads' names, descriptors. Needs root or
    the process's own uid. Errors: Unreadable, unless the process ended."""
    try:
        for name in ("environ", "cmdline", "comm"):
            data = Path(f"/proc/{pid}/{name}").read_bytes()
            yield from ((f"process {pid}: {name}", hit) for hit in find_in_bytes(data, secret))
        for thread in os.listdir(f"/proc/{pid}/task"):
            data = Path(f"/proc/{pid}/task/{thread}/comm").read_bytes()
            yield from ((f"process {pid}: name of thread {thread}", hit) for hit in find_in_bytes(data, secret))
        for sweep in (sweep_memory, sweep_descriptors):
            yield from ((f"process {pid}: {place}", hit) for place, hit in sweep(pid, secret))
    except (FileNotFoundError, ProcessLookupError):
        if Path(f"/proc/{pid}").exists():
            raise
    except OSError as error:
        raise Unreadable(f"process {pid}: {error.strerror}") from error


def all_processes():
    """Every process but this one and the kernel's threads."""
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            os.readlink(f"/proc/{name}/exe")
        except FileNotFoundError:
            continue
        except OSError:
            pass
        yield int(name)


def sweep(arguments, secret):
    """(place, hit) of everything that the command line names, and what could not be searched."""
    sweeps = [lambda path=path: sweep_file(path, secret) for path in arguments.file]
    sweeps += [lambda path=path: sweep_folder(path, secret, arguments.but) for path in arguments.folder]
    pids = set(arguments.pid) | (set(all_processes()) if arguments.all_processes else set())
    sweeps += [lambda pid=pid: sweep_process(pid, secret) for pid in sorted(pids)]
    hits, unreadable = [], []
    for one in sweeps:
        try:
            hits.extend(one())
        except Unreadable as error:
            unreadable.append(str(error))
    return hits, unreadable


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--secret-file", type=Path, metavar="FILE", help="holds the canary, nothing else")
    source.add_argument("--xor-file", type=Path, metavar="FILE", help="the same, every byte xored with 0x5a")
    parser.add_argument("--file", action="append", default=[], metavar="FILE", type=Path)
    parser.add_argument("--folder", action="append", default=[], metavar="FOLDER", type=Path)
    parser.add_argument("--but", action="append", default=[], metavar="NAME", help="file names to leave out")
    parser.add_argument("--pid", action="append", default=[], metavar="PID", type=int)
    parser.add_argument("--all-processes", action="store_true")
    arguments = parser.parse_args()
    if arguments.secret_file:
        secret = arguments.secret_file.read_bytes()
    else:
        secret = bytes(byte ^ XOR for byte in arguments.xor_file.read_bytes())
    if len(secret) < 8:
        parser.error("a canary shorter than 8 bytes is found by chance")
    hits, unreadable = sweep(arguments, secret)
    for place, hit in hits:
        print(f"{place}: {hit.encoding} at {hit.offset}")
    for problem in unreadable:
        print(f"leak_sweep.py: not searched: {problem}", file=sys.stderr)
    return EXIT_FOUND if hits else 1 if unreadable else 0


if __name__ == "__main__":
    sys.exit(main())
