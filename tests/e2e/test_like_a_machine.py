# SPDX-License-Identifier: Apache-2.0
"""Inside a mission ordinary work goes on as on any machine: builds, git, temporary files, many processes, large trees,
workspaces of every kind. What a mission takes away has its own twin beside what it leaves."""

import json
import os
import shutil
import subprocess
import textwrap

import pytest

import identity as identities

TREE_FILES = 10_000
PROCESSES = 5_000


def script(rig, profile, text, *options):
    return rig.run("bash", "-euc", textwrap.dedent(text), profile=profile, options=options)


# ---- building -------------------------------------------------------------------------------------------------------

def test_a_program_is_built_and_run_in_the_workspace(rig, service):
    rig.write(rig.work / "hello.c", '#include <stdio.h>\nint main(void) { puts("built here"); }\n')
    rig.write(rig.work / "Makefile", "hello: hello.c\n\tcc -O1 -o $@ $<\n")

    outcome = script(rig, service, "make -s && ./hello && python3 -m venv --without-pip venv && venv/bin/python -c "
                     "'import sys; print(sys.prefix)'")

    assert outcome.code == 0, outcome
    assert outcome.text.split("\n")[:2] == ["built here", str(rig.work / "venv")]


def test_nothing_can_be_built_into_the_system(rig, service):
    outcome = script(rig, service, "printf 'int main(void){}' | cc -xc -o /usr/bin/sanctum-was-here - 2>&1 && exit 9; "
                     "touch /etc/made 2>&1 && exit 9; true")

    assert outcome.code == 0 and "Read-only file system" in outcome.text, outcome


# ---- git ------------------------------------------------------------------------------------------------------------

def repository(rig):
    """A repository with a hook of the user's, made outside before the mission."""
    def git(*arguments):
        subprocess.run(["git", "-C", rig.work, *arguments], check=True, capture_output=True, env=rig.environment,
                       **rig.identity.popen)
    git("init", "-q", "-b", "main")
    git("config", "user.name", "a")
    git("config", "user.email", "a@b")
    rig.write(rig.work / ".git" / "hooks" / "pre-commit", "#!/bin/sh\necho hook ran >> hook.log\n", 0o755)


def test_a_hook_of_the_user_runs_inside_and_stays_as_it_is(rig, service):
    repository(rig)
    before = (rig.work / ".git/hooks/pre-commit").read_text()

    outcome = script(rig, service, "date > new; git add new; git commit -q -m new; cat hook.log; "
                     "echo evil >> .git/hooks/pre-commit || echo cannot change it; "
                     "mv .git/hooks elsewhere || echo cannot move it")

    assert outcome.code == 0 and outcome.text.startswith("hook ran\n"), outcome
    assert "cannot change it" in outcome.text and "cannot move it" in outcome.text
    assert (rig.work / ".git/hooks/pre-commit").read_text() == before


def test_a_hook_that_the_agent_adds_is_held_back(rig, service):
    """The hooks of a repository that was there are read-only; in one that the agent makes they are held at the end."""
    repository(rig)
    hook = "hooks/post-checkout"

    outcome = script(rig, service, f"touch .git/{hook} || echo refused; git init -q inner; "
                     f"echo evil > inner/.git/{hook}; chmod +x inner/.git/{hook}; "
                     "mkdir inner/kept; echo kept > inner/kept/file")

    assert outcome.code == 0 and outcome.text == "refused\n", outcome
    assert not (rig.work / "inner/.git" / hook).exists()
    assert (rig.work / "inner/.git" / f"{hook}.sanctum-held").read_text() == "evil\n"
    assert (rig.work / "inner/kept/file").exists(), "what runs never is left alone"
    assert any(hook in held for held in outcome.ended["held_files"]), "the record names it"


@pytest.mark.parametrize("home", ["fresh", "kept"])
def test_name_and_hooks_of_the_users_own_settings_hold_inside_where_init_saw_them(rig, service, home):
    settings = "[user]\n\tname = Ada\n\temail = ada@example.org\n[core]\n\thooksPath = ~/.githooks\n"
    rig.write(rig.home / ".gitconfig", settings)
    rig.write(rig.make("home/.githooks") / "pre-commit", "#!/bin/sh\necho hook ran\n", 0o755)
    for agent in ("agent", "test"):
        rig.make(f"state/sanctum/homes/{agent}", 0o700)
    rig.expect_ok(rig.sanctum("init", "--agent", "generic"))
    commit = ("git init -q -b main .; date > new; git add new; git commit -q -m new; git log -1 --format=%an; "
              "echo changed >> ~/.gitconfig || echo cannot change it")
    line = f'sandbox.home="{home}"'

    inside = script(rig, rig.work / "mission.toml", commit, "-c", line)
    shutil.rmtree(rig.work / ".git")
    without = script(rig, service, commit, "-c", line)

    assert inside.code == 0 and inside.text == "Ada\ncannot change it\n" and "hook ran\n" in inside.errors, inside
    assert (rig.home / ".gitconfig").read_text() == settings
    assert without.code == 128 and "tell me who you are" in without.errors, without
    assert "hook ran" not in without.errors


def test_a_worktree_is_worked_in_with_the_mount_that_the_launcher_names(rig, service):
    repository(rig)
    made = "git commit -q --allow-empty -m first && git worktree add -q ../tree"
    subprocess.run(["sh", "-c", made], cwd=rig.work, check=True, capture_output=True, env=rig.environment,
                   **rig.identity.popen)
    tree, common = rig.home / "tree", rig.work / ".git"
    commit = "git log -1 --format=%s; git commit -q --allow-empty -m second"

    def run(*options):
        return rig.run("bash", "-c", commit, profile=service, options=("-v", *options), cwd=tree)
    without = run()
    named = f"--mount {common}:{common}"
    reading = run(*f"{named}:ro".split())
    writing = run(*named.split())

    assert "not a git repository" in without.errors and f"it is in {common}" in without.errors, without
    assert f"{named}:ro shows it (without :ro" in without.errors
    assert reading.code != 0 and reading.text == "first\n" and "Read-only file system" in reading.errors, reading
    assert writing.code == 0 and writing.text == "first\n", writing
    for outcome in (reading, writing):
        assert "no repository here" not in outcome.errors


# ---- the usual places -----------------------------------------------------------------------------------------------

def test_temporary_files_shared_memory_and_pipes_are_there_and_end_with_the_mission(rig, service):
    text = """
        mktemp > name; test -w "$(cat name)"
        python3 -c 'from multiprocessing import shared_memory as s; s.SharedMemory(create=True, size=65536).unlink()'
        python3 -c 'import multiprocessing as m; print(sum(m.Pool(4).map(abs, range(-3, 3))))'
        mkfifo p; (echo through > p) & cat p; df -P /dev/shm /tmp | tail -n +2 | wc -l
    """
    outcome = script(rig, service, text)

    assert outcome.code == 0 and outcome.text.split() == ["9", "through", "2"], outcome
    assert not os.path.exists((rig.work / "name").read_text().strip()), "made in the mission's own /tmp"


def test_ps_shows_the_tree_and_nothing_else(rig, service):
    text = 'sleep 60 & until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done; ps -e -o pid=,comm=; kill $!'
    outcome = script(rig, service, text)

    names = [line.split()[1] for line in outcome.text.strip().split("\n")]
    assert outcome.code == 0 and {"bash", "sleep", "ps"} <= set(names) and len(names) == 4, outcome


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("variable", ["LANG", "LC_ALL", "LC_CTYPE"])
def test_locale_and_time_zone_are_those_of_the_caller(rig, service, zone, variable):
    rig.environment.pop("LANG")
    rig.environment.update({"TZ": zone, variable: "C.UTF-8"})
    work = "date '+%H %Z'; locale charmap; printf 'ä' | wc -m; python3 -c 'print(open(0).encoding.lower())' </dev/null"
    expected = subprocess.run(["bash", "-c", work], env=rig.environment, check=True, capture_output=True, text=True)
    assert expected.stdout.split()[2:] == ["UTF-8", "1", "utf-8"]

    outcome = script(rig, service, work)

    assert outcome.code == 0 and outcome.text == expected.stdout, outcome


def test_what_only_looks_like_a_locale_is_not_passed(rig, service):
    """The twin: a caller without one has none inside, and neither a path nor a variable of another name arrives."""
    rig.environment.pop("LANG")
    rig.environment.update({"LC_ALL": "../../secret/C.UTF-8", "LOCPATH": "/tmp", "LC_SECRET": "C.UTF-8",
                            "TZDIR": "/tmp", "NLSPATH": "/tmp/%N"})

    outcome = script(rig, service, "locale charmap; date +%Z; env | grep -E 'LC_|LANG|LOCPATH|TZ|NLS' || echo none")

    machine = subprocess.run(["date", "+%Z"], env={"PATH": "/usr/bin"}, check=True, capture_output=True, text=True)
    assert outcome.code == 0 and outcome.text == f"ANSI_X3.4-1968\n{machine.stdout}none\n", outcome


# ---- size -----------------------------------------------------------------------------------------------------------

def test_a_tree_of_ten_thousand_files_is_worked_on(rig, service):
    for folder in range(100):
        made = rig.make(f"home/work/tree/{folder}")
        for number in range(TREE_FILES // 100):
            (made / f"{number}.txt").write_text(f"{folder} {number}\n")
            rig.identity.own(made / f"{number}.txt")

    outcome = script(rig, service, "find tree -type f | wc -l; cat $(find tree -name 7.txt) | sort -n | tail -1; "
                     "rm -r tree/1*; find tree -type f | wc -l")

    assert outcome.code == 0 and outcome.text.split("\n")[:3] == ["10000", "99 7", "8900"], outcome


def test_five_thousand_processes_one_after_another(rig, service):
    outcome = script(rig, service, f"for i in $(seq {PROCESSES}); do /bin/true; done; ls -d /proc/[0-9]* | wc -l")

    assert outcome.code == 0 and int(outcome.text) < 8, "each one was reaped"


def test_more_processes_than_the_profile_allows_are_refused(rig, service):
    text = """
        import os
        made = []
        try:
            while len(made) < 500:
                child = os.fork()
                if child == 0:
                    os.pause() if hasattr(os, "pause") else __import__("signal").pause()
                made.append(child)
        except BlockingIOError:
            print("refused")
        for child in made:
            os.kill(child, 9)
    """
    rig.write(rig.work / "fork.py", textwrap.dedent(text))

    outcome = rig.run("python3", "fork.py", profile=service, options=("-c", "sandbox.limits.processes=100"))

    assert outcome.code == 0 and outcome.text == "refused\n", outcome


def test_a_day_long_mission_starts_like_any_other(rig, service):
    outcome = script(rig, service, "echo day", "--ttl", "24h")

    assert outcome.code == 0 and outcome.text == "day\n", outcome
    noted = json.loads((outcome.folder / "mission.json").read_text())
    lasts = noted["ends_unix_ms"] - noted["started_unix_ms"]
    assert 0 <= lasts - 24 * 3600 * 1000 < 60_000, "and would have ended a day later, not after its profile's minutes"


# ---- workspaces -----------------------------------------------------------------------------------------------------

def mounted(rig, kind):
    """The workspace's folder as a mount of its own; the test's mount namespace ends with the test program."""
    identities.require(os.geteuid() == 0, "mounting needs root")
    work = rig.work
    if kind == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", f"uid={rig.identity.uid},gid={rig.identity.gid}", "tmpfs", work]
    elif kind == "bind":
        command = ["mount", "--bind", rig.make("elsewhere"), work]
    else:
        # An overlay needs upper and work on a file system that is none itself.
        layers = rig.make("layers")
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", layers], check=True)
        for part in ("lower", "upper", "work"):
            os.mkdir(layers / part)
            rig.identity.own(layers / part)
        (layers / "lower" / "below.txt").write_text("from below\n")
        rig.identity.own(layers / "lower" / "below.txt")
        command = ["mount", "-t", "overlay", "-o",
                   f"lowerdir={layers}/lower,upperdir={layers}/upper,workdir={layers}/work", "overlay", work]
    subprocess.run(command, check=True)


def on_mount(rig, service, kind):
    mounted(rig, kind)
    try:
        rig.write(rig.work / "old", "old\n")
        return script(rig, service, "cat old; echo new > new; mkdir -p a/b; mv new a/b; cat a/b/new; cat below.txt "
                      "2>/dev/null || true")
    finally:
        subprocess.run(["umount", "-R", rig.work], check=True)
        subprocess.run(["umount", rig.folder / "layers"], check=False, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_a_workspace_on_a_mount_of_its_own(rig, service, kind):
    outcome = on_mount(rig, service, kind)

    assert outcome.code == 0 and outcome.text == "old\nnew\n", outcome


def test_a_workspace_on_an_overlay_works_unless_root_owns_it(rig, service):
    """An overlay cannot show root's files as another user's; a mission as root itself does not exist."""
    outcome = on_mount(rig, service, "overlay")

    if rig.identity.name == "root":
        assert outcome.code == 125 and "use a folder that an ordinary user owns" in outcome.errors, outcome
    else:
        assert outcome.code == 0 and outcome.text == "old\nnew\nfrom below\n", outcome


def test_a_mount_below_the_workspace_is_part_of_it(rig, service):
    identities.require(os.geteuid() == 0, "mounting needs root")
    below = rig.make("home/work/below")
    owner = f"uid={rig.identity.uid},gid={rig.identity.gid},mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", owner, "tmpfs", below], check=True)
    try:
        rig.write(below / "there", "there\n")
        outcome = script(rig, service, "cat below/there; echo x > below/made")
        made = (below / "made").exists()
    finally:
        subprocess.run(["umount", below], check=True)

    assert outcome.code == 0 and outcome.text == "there\n" and made, outcome


def test_a_read_only_workspace_is_read_and_not_written(rig, service):
    rig.write(rig.work / "old", "old\n")
    profile = rig.profile(service.read_text().replace('workspace = "."', 'workspace = "."\nread = ["."]'), "read-only")

    outcome = script(rig, profile, "cat old; touch new 2>&1 || true; rm old 2>&1 || true")

    assert outcome.text.count("Read-only file system") == 2 and outcome.text.startswith("old\n"), outcome


def test_a_link_into_an_allowed_place_is_followed_and_one_out_of_it_is_not(rig, service):
    shared, hidden = rig.make("shared"), rig.make("hidden")
    rig.write(shared / "file", "shared\n")
    rig.write(hidden / "file", "hidden\n")
    for name, target in (("in", shared), ("out", hidden)):
        os.symlink(target, rig.work / name)
        rig.identity.own(rig.work / name)

    outcome = script(rig, service, "cat in/file; cat out/file 2>&1 || true", "--mount", f"{shared}:{shared}:ro")

    assert outcome.text.startswith("shared\n") and "No such file" in outcome.text, outcome
