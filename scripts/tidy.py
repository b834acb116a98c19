#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what a script can check about the tree; run as a test (ctest -L tidy) and by scripts/check.

    tidy.py [--root FOLDER] [--headers BUILD]

Rules: include direction, heavy includes, line and function length, banned words (each with its replacement), licence
line, every source in a CMake list, no header that nobody includes, no limit that nobody uses, one title per document.
With --headers every header is compiled alone with the flags of BUILD/compile_commands.json.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

LINE_COLUMNS_MAX = 120
FUNCTION_LINES_MAX = 70

# Who may include whom; launcher, interceptor and vault stand side by side and meet in base/wire and profiles/schema.
# How bytes leave this machine, network, is shared by the last two.
MAY_INCLUDE = {
    "base": {"base"},
    "profiles": {"base", "profiles"},
    "ledger": {"base", "profiles", "ledger"},
    "network": {"base", "profiles", "network"},
    "launcher": {"base", "profiles", "ledger", "launcher"},
    "interceptor": {"base", "profiles", "network", "interceptor"},
    "vault": {"base", "profiles", "network", "vault"},
    "console": {"base", "profiles", "ledger", "console"},
}
MODULES = tuple(MAY_INCLUDE)

# Parsed by every file that includes the header: seconds each. Allowed in .cpp files only.
HEAVY = re.compile(r"#include <(boost/(?!asio/awaitable\.hpp)|nlohmann/(?!json_fwd)|toml\+\+|spdlog|CLI|openssl/ssl\.h|"
                   r"seccomp\.h|sqlite3\.h|ares\.h)")

# (pattern, where: a regular expression over the path, what to write instead)
BANNED = [
    (r"\bstr(cpy|cat|ncpy)\s*\(", r"\.(c|cpp|hpp)$", "std::string, or a bounded copy"),
    (r"\bv?sprintf\s*\(", r"\.(c|cpp|hpp)$", "std::to_string or fmt"),
    (r"(?<![\w.:>])(std::)?system\s*\(", r"\.(c|cpp|hpp)$", "fork and execve with an argument list"),
    (r"\bpopen\s*\(", r"\.(c|cpp|hpp)$", "fork and execve with an argument list"),
    (r"\bstd::regex\b", r"\.(cpp|hpp)$", "the segment matcher (linear time)"),
    (r"\bstd::cout\b", r"^(base|profiles|ledger|network|launcher|interceptor|vault)/.*\.(cpp|hpp)$",
     "log::info, or a value returned to console"),
    (r"\bcatch\s*\(\.\.\.\)", r"\.(cpp|hpp)$", "Result; third-party throwers are caught by type in their one file"),
    (r"\.detach\s*\(\)", r"\.(cpp|hpp)$", "an owned std::jthread or co_spawn with a handler"),
    (r"\bsleep_for\b|\busleep\s*\(|(?<![\w.])sleep\s*\(", r"^tests/.*\.(cpp|hpp|c)$",
     "a pipe, a pidfd or a ManualClock"),
    (r"\btime\.sleep\b", r"^tests/.*\.py$", "a pipe, a pidfd or Condition.wait_for"),
    (r"^\s*sleep\s", r"^(scripts|tests)/[^.]*(\.sh)?$", "a fifo or wait"),
    (r"\b(pkill|killall)\b", r"^(scripts|tests)/", "kill with the id of a process you started"),
    (r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))", r"\.(cpp|hpp|c|py|md|txt|cmake)$", "do it, or an issue number: TODO" "(#12)"),
    (r"\b(white|black)list", r"\.(cpp|hpp|md|toml)$", "allow list, deny list"),
    (r"\busing namespace std\b", r"\.(cpp|hpp)$", "std:: where it is used"),
    (r"\breinterpret_cast<[^>]*\*>\(&?\w+\)\s*=", r"\.(cpp|hpp)$", "memcpy"),
]
BANNED = [(re.compile(pattern), re.compile(where), instead) for pattern, where, instead in BANNED]

SKIPPED = re.compile(r"^build/|^tests/fuzz/data/|^tests/unit/\w+/golden/")
TEXT = {".cpp", ".hpp", ".c", ".h", ".py", ".cmake", ".sh", ".md", ".txt"}


def tracked_files(root):
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted({name for name in listed if name and not SKIPPED.match(name) and (root / name).is_file()})


def is_text(name):
    path = Path(name)
    return path.suffix in TEXT or (not path.suffix and path.parts[0] in ("scripts", "tests", ".ci"))


def blank_comments_and_strings(text):
    """The same text with comments and literals blanked, so that braces and words in them do not count."""
    string, character = r'"(?:\\.|[^"\\\n])*"', r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'"
    pattern = re.compile(rf'R"(\w*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|{string}|{character}', re.DOTALL)
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


# ---- rules over one file --------------------------------------------------------------------------------------------

def check_lines(name, text):
    for number, line in enumerate(text.split("\n"), 1):
        # Documents may carry tables and long links; code may not.
        if len(line) > LINE_COLUMNS_MAX and not name.endswith(".md") and "://" not in line:
            yield f"{name}:{number}: line of {len(line)} columns (at most {LINE_COLUMNS_MAX})"
        if line != line.rstrip() and not name.endswith(".md"):
            yield f"{name}:{number}: blanks at the end of the line"


def check_banned(name, text):
    code = blank_comments_and_strings(text) if name.endswith((".cpp", ".hpp", ".c")) else text
    if name in ("scripts/tidy.py", "scripts/tidy_test.py"):
        return
    lines = code.split("\n")
    for number, line in enumerate(lines, 1):
        for pattern, where, instead in BANNED:
            if where.search(name) and pattern.search(line):
                yield f"{name}:{number}: '{pattern.search(line).group().strip()}' is banned; use {instead}"


def check_includes(name, text):
    module = name.split("/")[0]
    for number, line in enumerate(text.split("\n"), 1):
        found = re.match(r'#include "([a-z_]+)/', line)
        if found and module in MAY_INCLUDE and found.group(1) in MODULES and found.group(1) not in MAY_INCLUDE[module]:
            yield f"{name}:{number}: {module} must not include {found.group(1)} (they meet in base/wire and profiles)"
        if name.endswith(".hpp") and module in MAY_INCLUDE and HEAVY.match(line):
            yield f"{name}:{number}: heavy header in a header; move it into the one .cpp that needs it"


def cpp_functions(text):
    """(first line, last line, signature) of each function body at namespace or class level."""
    code = blank_comments_and_strings(text)
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda found: re.sub(r"[^\n]", " ", found.group()), code,
                  flags=re.MULTILINE)
    line, start, head, depth, opened = 1, 1, "", 0, None
    for character in code:
        if character == "{":
            depth += 1
            if opened is None and is_function_head(head):
                opened = (depth, start, " ".join(head.split()))
            head = ""
        elif character == "}":
            if opened and opened[0] == depth:
                yield opened[1], line, opened[2]
                opened = None
            depth -= 1
            head = ""
        elif character == ";":
            head = ""
        elif character == "\n":
            line += 1
            head += " "
        else:
            if not head.strip() and not character.isspace():
                start = line
            head += character


def is_function_head(head):
    words = head.split()
    if not words or "(" not in head or words[0] in ("namespace", "enum", "union", "extern"):
        return False
    if re.match(r"(?:template\s*<.*>\s*)?(?:class|struct)\b(?!.*\()", head.strip()) or re.search(r"=\s*$", head):
        return False
    return not re.match(r"\s*(if|for|while|switch|do|else|try|catch)\b", head)


def python_functions(text):
    import ast
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno, node.name


def check_functions(name, text):
    if name.endswith((".cpp", ".hpp", ".c")):
        functions = cpp_functions(text)
    elif name.endswith(".py"):
        functions = python_functions(text)
    else:
        return
    for first, last, signature in functions:
        if last - first + 1 > FUNCTION_LINES_MAX:
            yield (f"{name}:{first}: function of {last - first + 1} lines (at most {FUNCTION_LINES_MAX}): "
                   f"{signature[:60]}")


def check_head(name, text):
    if name.endswith((".cpp", ".hpp", ".c", ".py")) and "SPDX-License-Identifier: Apache-2.0" not in text[:200]:
        yield f"{name}:1: the first line must be '// SPDX-License-Identifier: Apache-2.0'"
    if name.endswith(".hpp") and "#pragma once" not in text:
        yield f"{name}:1: #pragma once is missing"
    if name.endswith(".md"):
        titles = [line for line in re.sub(r"```.*?```", "", text, flags=re.DOTALL).split("\n") if line.startswith("# ")]
        if len(titles) != 1:
            yield f"{name}:1: {len(titles)} titles; a document has one '# ' line"


# ---- rules over the tree --------------------------------------------------------------------------------------------

def check_sources_are_built(files):
    """A list names a source by its file name, or (where targets are made in a loop) by its stem in the same folder."""
    lists = {str(Path(name).parent): text for name, text in files.items() if name.endswith("CMakeLists.txt")}
    everything = "\n".join(text for name, text in files.items() if name.endswith(("CMakeLists.txt", ".cmake")))

    def names(text, word):
        return re.search(rf"(?:^|[\s/(]){re.escape(word)}(?=[\s)]|$)", text, re.MULTILINE)
    for name in files:
        path = Path(name)
        stem = path.stem.removesuffix("_fuzz")
        if path.suffix in (".cpp", ".c") and not names(everything, path.name) \
                and not names(lists.get(str(path.parent), ""), stem):
            yield f"{name}:1: in no CMake list"


def check_headers_are_used(files):
    included = set(re.findall(r'#include "([^"]+)"', "\n".join(files.values())))
    for name in files:
        if name.endswith(".hpp") and name not in included and name.split("tests/", 1)[-1] not in included \
                and Path(name).name not in included:
            yield f"{name}:1: nobody includes this header"


def check_limits_are_used(files):
    limits = files.get("base/limits.hpp", "")
    others = "\n".join(text for name, text in files.items() if name != "base/limits.hpp")
    for number, line in enumerate(limits.split("\n"), 1):
        found = re.search(r"inline constexpr .*?\b(k[A-Z]\w+)\b\s*[{=]", line)
        if found and not re.search(rf"\b{found.group(1)}\b", others) \
                and len(re.findall(rf"\b{found.group(1)}\b", limits)) < 2:
            yield f"base/limits.hpp:{number}: nobody uses {found.group(1)}"


def check_tree(files):
    for name, text in files.items():
        for rule in (check_lines, check_banned, check_includes, check_functions, check_head):
            yield from rule(name, text)
    for rule in (check_sources_are_built, check_headers_are_used, check_limits_are_used):
        yield from rule(files)


# ---- headers alone --------------------------------------------------------------------------------------------------

def flags_of(build):
    """Compiler and flags per module, taken from any of its files."""
    flags = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        arguments = shlex.split(entry["command"])
        module = os.path.relpath(entry["file"], entry["directory"])
        for name in MODULES:
            if f"/{name}/" in entry["file"] and "/tests/" not in entry["file"]:
                module = name
        kept, skip = [], False
        for argument in arguments:
            if skip or argument in ("-c", entry["file"]):
                skip = False
            elif argument in ("-o", "-MF", "-MT", "-include"):  # -include: the precompiled header would hide what lacks
                skip = True
            elif argument not in ("-MD", "-Werror", "-Winvalid-pch"):
                kept.append(argument)
        flags.setdefault(module, (kept, entry["directory"]))
    return flags


def compile_alone(root, build, name, flags):
    stub = build / "headers" / (name.replace("/", "_") + ".cpp")
    stub.parent.mkdir(exist_ok=True)
    if not stub.exists():
        stub.write_text(f'#include "{name}"\n')
    command, directory = flags[name.split("/")[0]]
    done = subprocess.run([*command, "-c", str(stub), "-o", str(stub.with_suffix(".o"))], cwd=directory,
                          capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{name}:1: does not compile alone:\n{done.stderr[:2000]}"


def check_headers_alone(root, build, files):
    flags = flags_of(build)
    names = [name for name in files if name.endswith(".hpp") and name.split("/")[0] in flags]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(lambda name: compile_alone(root, build, name, flags), names))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--headers", type=Path, metavar="BUILD", help="compile every header alone instead")
    arguments = parser.parse_args()
    files = {name: (arguments.root / name).read_text(encoding="utf-8", errors="replace")
             for name in tracked_files(arguments.root) if is_text(name)}
    if not any(name.endswith(".cpp") for name in files):
        print("tidy: no sources found: nothing was checked", file=sys.stderr)
        return 2
    findings = list(check_headers_alone(arguments.root, arguments.headers, files) if arguments.headers
                    else check_tree(files))
    for finding in findings:
        print(finding)
    print(f"tidy: {len(files)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
