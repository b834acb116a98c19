#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tampers with a sealed mission in every way it knows and expects the independent verifier to find each one.

    tamper_ledger.py MISSION_FOLDER --key ledger.pub [--receipts receipts.jsonl] [--step 23]

Works on a copy. Exit: 0 everything was found (and the untouched mission is sealed), 1 something was not.
"""
import argparse
import os
import shutil
import sys
import tempfile

import verify_ledger


def is_found(folder, key, receipts):
    try:
        return verify_ledger.verify(folder, key, receipts)[0] != "sealed"
    except verify_ledger.Bad:
        return True


def tamperings(ledger, step):
    lines = ledger.splitlines(keepends=True)
    for i in range(0, len(ledger), step):
        yield f"flipped byte {i}", ledger[:i] + bytes([ledger[i] ^ 1]) + ledger[i + 1:]
    for i in range(len(lines)):
        yield f"cut at record {i}", b"".join(lines[:i])
        yield f"record {i} missing", b"".join(lines[:i] + lines[i + 1:])
        yield f"record {i} twice", b"".join(lines[:i + 1] + lines[i:])
        if i + 1 < len(lines):
            yield f"records {i} and {i + 1} swapped", b"".join(lines[:i] + [lines[i + 1], lines[i]] + lines[i + 2:])
    yield "a line added", ledger + lines[-1]
    yield "a torn line added", ledger + b'{"v":1'


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder")
    parser.add_argument("--key", required=True)
    parser.add_argument("--receipts")
    parser.add_argument("--step", type=int, default=23, help="flip every STEPth byte")
    arguments = parser.parse_args()
    with open(arguments.key, "rb") as file:
        key = verify_ledger.Key(file.read())
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(scratch, os.path.basename(os.path.normpath(arguments.folder)))
        shutil.copytree(arguments.folder, folder)
        state, _, why = verify_ledger.verify(folder, key, arguments.receipts)
        missed = [] if state == "sealed" else [f"the untouched mission is {state}: {why}"]
        path = os.path.join(folder, "ledger.jsonl")
        with open(path, "rb") as file:
            ledger = file.read()
        for name, changed in tamperings(ledger, arguments.step):
            with open(path, "wb") as file:
                file.write(changed)
            if not is_found(folder, key, arguments.receipts):
                missed.append(name)
    for name in missed:
        print("not found: " + name, file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
