# SPDX-License-Identifier: Apache-2.0
"""The repository's own scripts do what their help says. Slow tools (cmake, ctest) and sudo are stand-ins that write
down how they were called; the scripts are the real ones, in a tree of their own."""

import shutil
import subprocess
from pathlib import Path

import pytest

import identity as identities
from rig import SOURCE

# Writes its name and words down; fails where $FAILS says so. `sudo` runs what it is given, as root's run would.
STAND_IN = """#!/bin/bash
echo "${0##*/} $*" >> "$LOG"
if [[ -n "${FAILS:-}" && "${0##*/} $*" == *"$FAILS"* ]]; then exit 8; fi
"""
SUDO = STAND_IN + """while [[ $1 == -* ]]; do shift; done
"$@"
"""


@pytest.fixture
def tree(identity):
    """A tree with a copy of the scripts, tools that only write down their call, and `run` and `calls`."""
    folder = Path(identities.make_folder(identity, "sanctum-scripts-"))

    class Tree:
        path = folder / "tree"
        log = folder / "log"

        def write(self, name, text):
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            place.chmod(0o755)
            return place

        def run(self, script, *options, cwd=folder, **variables):
            for place in [folder, *folder.rglob("*")]:
                identity.own(place)
            environment = {"PATH": f"{folder}/bin:/usr/bin:/bin", "LOG": str(self.log), **variables}
            return subprocess.run([self.path / "scripts" / script, *options], env=environment, cwd=cwd, text=True,
                                  capture_output=True, check=False, timeout=60, **identity.popen)

        def calls(self, program):
            return [line for line in self.log.read_text().splitlines() if line.startswith(program + " ")]

    tree = Tree()
    for script in ("test", "bench"):
        tree.write(f"tree/scripts/{script}", (SOURCE / "scripts" / script).read_text())
    tree.write("tree/scripts/setup", STAND_IN)
    tree.write("tree/tests/bench/bench.py", "import sys\nprint(sys.argv[1:])\n")
    for tool in ("cmake", "ctest", "gcovr", "chown"):
        tree.write(f"bin/{tool}", STAND_IN)
    tree.write("bin/sudo", SUDO)
    (tree.path / "build").mkdir()
    tree.write("log", "")
    yield tree
    shutil.rmtree(folder)


def test_options_run_one_after_the_other_and_a_failure_of_the_first_is_told_at_the_end(tree):
    done = tree.run("test", "--fuzz", "--tsan", FAILS="ctest --preset fuzz")

    assert done.returncode == 1 and done.stderr.endswith("scripts/test: failed: fuzz\n"), done
    assert [call.split()[2] for call in tree.calls("ctest")] == ["fuzz", "tsan"]
    tree.log.write_text("")
    done = tree.run("test", "--tsan", "--coverage")
    assert done.returncode == 0 and done.stderr == "", done
    assert [call.split()[2] for call in tree.calls("ctest")] == ["tsan", "coverage"] and tree.calls("gcovr")


def test_a_part_that_cannot_be_built_runs_no_tests_of_it(tree):
    done = tree.run("test", "--tsan", FAILS="cmake --build --preset tsan")

    assert done.returncode == 1 and "failed: tsan" in done.stderr and tree.calls("ctest") == [], done


@pytest.mark.parametrize("option", [(), ("--package",), ("--agents",), ("--soak",)])
def test_tests_about_root_run_with_a_users_sudo_and_leave_nothing_of_roots(tree, identity, option):
    done = tree.run("test", *option)

    assert done.returncode == 0, done
    listed, *_, ran = [call for call in tree.calls("ctest") if "dev" in call]
    assert listed == "ctest --preset dev -N" and " -L" in ran, "the cases are listed by who built them"
    given = "-n --preserve-env=SANCTUM_REQUIRE_ALL,SANCTUM_KILL_SEED,CI"
    if identity.name == "root":
        assert tree.calls("sudo") == [] and tree.calls("chown") == []
    else:
        back = f"chown -R --no-dereference --from=0 {identity.uid}:{identity.gid} build tests"
        assert tree.calls("sudo")[1:] == [f"sudo {given} {ran}", f"sudo {given} {back}"]
        assert tree.calls("chown") == [back]


def test_a_user_without_sudo_runs_what_a_user_can(tree):
    done = tree.run("test", "--package", FAILS="sudo -n true")

    assert done.returncode == 0, done
    assert tree.calls("ctest")[-1].startswith("ctest --preset dev --no-tests=error -L ^package$")
    assert [call for call in tree.calls("sudo") if call != "sudo -n true"] == [] and tree.calls("chown") == []


@pytest.mark.parametrize("words", [["--json", "out.json"], ["--json=out.json"]])
def test_the_benchmarks_result_goes_into_the_callers_folder(tree, words):
    elsewhere = tree.path.parent / "elsewhere"
    elsewhere.mkdir()

    done = tree.run("bench", "--quick", *words, cwd=elsewhere)

    wanted = [word.replace("out.json", f"{elsewhere}/out.json") for word in words]
    assert done.returncode == 0 and done.stdout == f"{['--quick', *wanted]}\n", done
    kept = [word.replace("out.json", "/nowhere/out.json") for word in words]
    assert tree.run("bench", *kept, cwd=elsewhere).stdout == f"{kept}\n"
