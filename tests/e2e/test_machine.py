# SPDX-License-Identifier: Apache-2.0
"""The machine and the mission leave no trace in each other but what was granted: keys, shared memory, sockets, mounts,
variables, helper programs, links. Where an attempt could fail for another reason, a twin shows that outside it works.
"""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

import identity as identities
from rig import API, BIN, SUPPORT

PYTHON = "/usr/bin/python3"
EMPTY = """\
schema = 1
[mission]
name = "machine"
agent = "test"
purpose = "Show one claim"
ttl = "2m"
[sandbox]
workspace = "."
"""


@pytest.fixture
def alone(rig):
    """A profile without any service."""
    rig.configure()
    return rig.profile(EMPTY)


# ---- what the agent leaves for somebody to run -----------------------------------------------------------------

PLANT = "mkdir -p .vscode && echo x >.vscode/tasks.json"
HIDE = {
    "plain": "true",
    "a folder that cannot be read": "chmod 111 .vscode",
    "a folder that cannot be written": "chmod 555 .vscode",
    "a link to elsewhere": "mv .vscode/tasks.json plain && ln -s ../plain .vscode/tasks.json",
    "something in the way": "mkdir -p .vscode/tasks.json.sanctum-held/x",
    "a deep folder beside it": "i=0; while [ $i -lt 140 ]; do mkdir d && cd d; i=$((i+1)); done",
    "a long path beside it": f"i=0; while [ $i -lt 25 ]; do mkdir {'d' * 200} && cd -P {'d' * 200}; i=$((i+1)); done;"
                             " echo x >.envrc",
}


@pytest.mark.parametrize("around", HIDE)
def test_what_somebody_would_run_later_is_held_back_whatever_is_around_it(rig, alone, around):
    outcome = rig.run("sh", "-c", f"echo y >ordinary; {PLANT}; {HIDE[around]}", profile=alone)

    planted = rig.work / ".vscode" / "tasks.json"
    assert outcome.code == 0 and not os.path.lexists(planted), outcome
    held = outcome.ended["held_files"]
    assert str(planted) in held or str(planted.parent) in held, outcome
    assert (rig.work / "ordinary").exists(), "the twin: an ordinary file stays"
    if around == "plain":
        rig.expect_ok(rig.sanctum("accept", outcome.folder.name))
        assert planted.read_text() == "x\n"
    subprocess.run(["rm", "-rf", *map(str, rig.work.iterdir())], check=True)


SWAPS = {
    "writes into it": "echo two >.envrc.sanctum-held",
    "renames another onto it": "echo two >new; mv -f new .envrc.sanctum-held",
    "makes it anew": "rm -f .envrc.sanctum-held; echo two >.envrc.sanctum-held",
    "puts a link there": "echo two >new; ln -sf new .envrc.sanctum-held",
    "makes its folder anew": "mv ../sub ../old; mkdir ../sub; echo two >../sub/.envrc.sanctum-held",
}


@pytest.mark.parametrize("swap", SWAPS)
def test_what_is_held_back_stays_what_it_was_while_a_later_mission(rig, alone, swap):
    first = rig.run("sh", "-c", "mkdir sub; echo one >sub/.envrc", profile=alone)
    held = rig.work / "sub" / ".envrc.sanctum-held"
    assert first.code == 0 and held.read_text() == "one\n", first

    later = rig.run("sh", "-c", f"cd sub; {SWAPS[swap]}; echo ordinary >../ordinary", profile=alone)

    assert later.code == 0 and held.read_text() == "one\n" and not held.is_symlink(), later
    assert (rig.work / "ordinary").exists(), "the twin: the rest of the workspace is writable"
    accepted = rig.expect_ok(rig.sanctum("accept", first.folder.name))
    assert (rig.work / "sub" / ".envrc").read_text() == "one\n", accepted


@pytest.mark.parametrize("left", ["echo two >.envrc", "echo two >two; ln -s two .envrc"])
def test_a_mission_is_accepted_with_what_it_left_itself_and_not_with_another_ones(rig, alone, left):
    first = rig.run("sh", "-c", "echo one >.envrc; echo x >.mcp.json", profile=alone)
    second = rig.run("sh", "-c", left, profile=alone)
    held, released = rig.work / ".envrc.sanctum-held", rig.work / ".envrc"
    assert first.code == 0 and second.code == 0 and held.read_text() == "two\n", (first, second)

    tried = rig.sanctum("accept", first.folder.name, "--dry-run")
    refused = rig.sanctum("accept", first.folder.name)

    assert tried.returncode == refused.returncode == 1
    for told in (tried, refused):
        assert f"{held}: is not what this mission left there".encode() in told.stderr, told
    assert held.read_text() == "two\n" and not os.path.lexists(released)
    assert (rig.work / ".mcp.json").read_text() == "x\n", "the twin: what it left itself is released"
    rig.expect_ok(rig.sanctum("accept", second.folder.name))
    assert released.read_text() == "two\n" and not os.path.lexists(held)


def test_a_held_link_that_a_later_mission_replaces_is_not_released(rig, alone):
    """No mount lies on a link, so only the record tells."""
    first = rig.run("sh", "-c", "echo one >one; ln -s one .envrc", profile=alone)
    later = rig.run("sh", "-c", "rm .envrc.sanctum-held; echo two >.envrc.sanctum-held", profile=alone)
    assert first.code == 0 and later.code == 0 and later.ended["held_files"] == [], (first, later)

    refused = rig.sanctum("accept", first.folder.name)

    assert refused.returncode == 1 and b"is not what this mission left there" in refused.stderr, refused
    assert not os.path.lexists(rig.work / ".envrc")
    (rig.work / ".envrc.sanctum-held").unlink()
    (rig.work / ".envrc.sanctum-held").symlink_to("one")
    rig.expect_ok(rig.sanctum("accept", first.folder.name))
    assert (rig.work / ".envrc").is_symlink(), "the twin: the link as it was"


def test_keys_that_were_turned_back_are_accepted_as_they_were_left_and_not_otherwise(rig, alone):
    make = "git init -q .; git config core.pager evil"
    first = rig.run("sh", "-c", make, profile=alone)
    config, held = rig.work / ".git" / "config", rig.work / ".git" / "config.sanctum-held"
    assert first.code == 0 and "evil" not in config.read_text() and "evil" in held.read_text(), first
    text = held.read_text()

    held.write_text(text.replace("evil", "worse"))
    refused = rig.sanctum("accept", first.folder.name)
    held.write_text(text)
    rig.expect_ok(rig.sanctum("accept", first.folder.name))

    assert refused.returncode == 1 and b"is not what this mission left there" in refused.stderr, refused
    assert config.read_text() == text and not held.exists()


AROUND = """
printf '%s\\n' '#!/bin/sh' 'touch "$PWNED"' >evil; chmod +x evil
cp evil tools/hooks/pre-commit; cp evil tools/hooks/post-commit
printf '[core]\\n\\tfsmonitor = touch "$PWNED"; false\\n' >fsmonitor
cp fsmonitor shared.gitconfig; cat fsmonitor >>.git/worktrees/side/config.worktree
mkdir 'tools/hooks '; cp evil 'tools/hooks /pre-commit'
sed -i 's,hooksPath = tools/hooks,hooksPath = "tools/hooks ",' .git/config; git config core.hooksPath | tr ' ' _
"""


def test_no_way_around_gits_configuration_leaves_something_to_run(rig, alone):
    """What it names already, a quoted blank at a value's end, and the configuration of a linked working tree."""
    def git(*arguments, at=rig.work):
        environment = {**rig.environment, "PWNED": str(rig.folder / "pwned")}
        return subprocess.run(["git", *arguments], cwd=at, env=environment, capture_output=True, text=True, check=False,
                              **rig.identity.popen)
    hooks = rig.make((rig.work / "tools/hooks").relative_to(rig.folder))
    rig.write(hooks / "pre-commit", "#!/bin/sh\necho of the user >&2\n", 0o755)
    rig.write(rig.work / "shared.gitconfig", "[core]\n\tabbrev = 8\n")
    made = [git("init", "-q", "."), git("config", "user.email", "a@b"), git("config", "user.name", "a"),
            git("config", "core.hooksPath", "tools/hooks"), git("config", "include.path", "../shared.gitconfig"),
            git("add", "."), git("commit", "-qm", "first"), git("worktree", "add", "-q", "side"),
            git("sparse-checkout", "set", "tools", at=rig.work / "side")]
    assert not any(each.returncode for each in made) and "of the user" in made[6].stderr, made

    outcome = rig.run("sh", "-c", AROUND, profile=alone)

    assert outcome.text == "tools/hooks_\n" and "Read-only" in outcome.errors, outcome
    held = {Path(path).relative_to(rig.work).as_posix() for path in outcome.ended["held_files"]}
    assert {".git/config", ".git/worktrees/side/config.worktree"} <= held, held
    rig.write(rig.work / "new", "x")
    done = [git("add", "new"), git("commit", "-qm", "second"), git("status"), git("status", at=rig.work / "side")]
    assert not any(each.returncode for each in done), done
    assert "of the user" in done[1].stderr, "the twin: the user's own hook still runs"
    assert not (rig.folder / "pwned").exists(), held


@pytest.mark.parametrize("by", ["the profile", "the profile and again inside", "a mount"])
def test_what_is_left_in_another_writable_folder_is_held_back_too(rig, by):
    other = rig.make("home/other")
    subprocess.run(["git", "init", "-q", "--template=", str(other)], check=True)
    (other / ".mcp.json").write_text("mine\n")
    (other / "sub").mkdir()
    subprocess.run(["chown", "-R", f"{rig.identity.uid}:{rig.identity.gid}", str(other)], check=True)
    rig.configure()
    inner = f', "{other}/sub"' if by == "the profile and again inside" else ""
    granted = "" if by == "a mount" else f'write = ["{other}"{inner}]\n'
    options = ["--mount", f"{other}:{other}"] if by == "a mount" else []
    leave = (f"cd {other}; mkdir .git/hooks; echo evil >.git/hooks/pre-commit; git config core.fsmonitor evil;"
             " git config user.name ok; echo y >sub/ordinary; echo evil >sub/.envrc; echo evil >.mcp.json")

    outcome = rig.run("sh", "-c", leave, profile=rig.profile(EMPTY + granted), options=options)

    places = [other / ".git/config", other / ".git/hooks/pre-commit", other / "sub/.envrc"]
    assert outcome.ended["held_files"] == [str(path) for path in places], outcome
    assert (other / ".mcp.json").read_text() == "mine\n", "what was there is covered"
    assert not places[1].exists() and not places[2].exists()
    config = places[0].read_text()
    assert "fsmonitor" not in config and "ok" in config, config
    assert (other / "sub/ordinary").read_text() == "y\n", "the twin: an ordinary file stays"
    held = Path(f"{places[2]}.sanctum-held")
    held.write_text("worse\n")
    refused = rig.sanctum("accept", outcome.folder.name)
    assert refused.returncode == 1, refused
    assert f"{held}: is not what this mission left there".encode() in refused.stderr, refused
    assert places[1].read_text() == "evil\n" and "fsmonitor" in places[0].read_text(), refused
    assert not places[2].exists()


def test_an_existing_place_in_a_folder_shown_elsewhere_is_covered_where_it_is_shown(rig, alone):
    other = rig.make("home/other")
    (other / "sub").mkdir()
    (other / "sub/.envrc").write_text("mine\n")
    subprocess.run(["chown", "-R", f"{rig.identity.uid}:{rig.identity.gid}", str(other)], check=True)

    outcome = rig.run("sh", "-c", "cd /shown; echo y >sub/ordinary; mv sub away; echo evil >sub/.envrc",
                      profile=alone, options=["--mount", f"{other}:/shown"])

    assert outcome.code != 0 and outcome.ended["held_files"] == [], outcome
    assert (other / "sub/.envrc").read_text() == "mine\n" and (other / "sub/ordinary").read_text() == "y\n"


LINKS = """
import os, sys
outside = sys.argv[1]
for name, target in ((".git", outside), (".vscode", outside), ("config", f"{outside}/config"), (".claude", outside)):
    os.symlink(target, name)
os.makedirs("nested/.git")
open("nested/.git/HEAD", "w").write("ref: refs/heads/main")
os.symlink(f"{outside}/hooks", "nested/.git/hooks")
os.symlink(f"{outside}/config", "nested/.git/config")
os.makedirs("pointer")
open("pointer/.git", "w").write(f"gitdir: {outside}")
"""


def test_links_that_the_agent_leaves_lead_nobody_of_ours_out(rig, alone):
    outside = repository_of(rig, "outside")
    before = picture_of(outside)

    outcome = rig.run(PYTHON, "-c", LINKS, str(outside), profile=alone)

    assert outcome.code == 0 and picture_of(outside) == before, outcome
    held = {Path(path).relative_to(rig.work).as_posix() for path in outcome.ended["held_files"]}
    assert {".git", ".vscode", "nested/.git/hooks", "pointer/.git"} <= held, held


def repository_of(rig, name):
    """A folder of the operator's with what git and editors would run."""
    folder = rig.make(name)
    rig.make(f"{name}/hooks")
    for path, text in (("secret", "of the machine"), ("tasks.json", "{}"), ("hooks/post-checkout", "#!/bin/sh\n"),
                       ("config", "[core]\n\thooksPath = hooks\n\tpager = less\n"), ("HEAD", "ref: refs/heads/main\n")):
        rig.write(folder / path, text, 0o755)
    rig.make(f"{name}/objects")
    return folder


def picture_of(folder):
    """Everything below it: names, kinds, owners, content."""
    return sorted((str(path), path.lstat().st_mode, path.lstat().st_uid, path.lstat().st_mtime_ns,
                   path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*"))


RACED = (".git", ".claude", "tmp")
RACER = """
import os, sys
outside, names = sys.argv[1], sys.argv[2:]
for name in names:
    os.makedirs(f"{name}.d/hooks", exist_ok=True)
    os.rename(f"{name}.d", name)
    os.symlink(outside, f"{name}.l")
print("racing", flush=True)
while True:
    for name in names:  # RENAME_EXCHANGE by hand: now a folder, now a link to the outside
        try:
            os.rename(name, f"{name}.d"); os.rename(f"{name}.l", name)
            os.rename(name, f"{name}.l"); os.rename(f"{name}.d", name)
        except OSError:
            pass
"""
LAUNCHES = int(os.environ.get("SANCTUM_RACE_LAUNCHES", "50"))


def test_a_link_that_is_swapped_in_while_the_launcher_mounts_leads_nowhere(rig, alone):
    """Another process of the same user flips folders of the workspace into links while missions start and end."""
    outside = repository_of(rig, "outside")
    before = picture_of(outside)
    racer = subprocess.Popen([PYTHON, "-c", RACER, str(outside), *RACED], cwd=rig.work, stdout=subprocess.PIPE,
                             **rig.identity.popen)
    look = "cat .git/secret .claude/secret tmp/secret 2>/dev/null; touch .git/made .claude/made tmp/made 2>/dev/null; :"
    codes = []
    try:
        assert racer.stdout.readline() == b"racing\n"
        for _ in range(LAUNCHES):
            outcome = rig.run("sh", "-c", look, profile=alone)
            codes.append(outcome.code)
            assert outcome.code in (0, 125) and "of the machine" not in outcome.text, outcome
            if outcome.folder and len(codes) > 3:  # the others' records are checked afterwards
                shutil.rmtree(outcome.folder)
            rig.outcomes.clear()
    finally:
        racer.kill()
        racer.wait()
        racer.stdout.close()

    assert picture_of(outside) == before
    assert codes.count(0) > 0, "the twin: some of the launches ran"


# ---- keys, shared memory, mounts -------------------------------------------------------------------------------

WITH_KEY = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
add_key, keyctl = (248, 250) if os.uname().machine == "x86_64" else (217, 219)
assert libc.syscall(keyctl, 1, 0) > 0 and libc.syscall(add_key, b"user", b"sanctum-canary", b"value", 5, -3) > 0
os.execvp(sys.argv[1], sys.argv[1:])
"""
LOOK_FOR_KEY = """
import ctypes, json, os
libc = ctypes.CDLL(None, use_errno=True)
keyctl, request = (250, 249) if os.uname().machine == "x86_64" else (219, 218)
def tried(number, *arguments):
    return "found" if libc.syscall(number, *arguments) >= 0 else os.strerror(ctypes.get_errno())
listed = ""
for name in ("keys", "key-users"):
    try:
        listed += open("/proc/" + name).read()
    except OSError:
        pass
print(json.dumps({"search": tried(keyctl, 10, -3, b"user", b"sanctum-canary", 0),
                  "request": tried(request, b"user", b"sanctum-canary", 0, -3), "listed": "sanctum-canary" in listed}))
"""


def test_keys_of_the_callers_session_are_not_there(rig, alone):
    with_key = [PYTHON, "-c", WITH_KEY]
    outside = subprocess.run([*with_key, PYTHON, "-c", LOOK_FOR_KEY], capture_output=True, check=True,
                             **rig.identity.popen)

    inside = rig.run(PYTHON, "-c", LOOK_FOR_KEY, profile=alone, wrap=with_key)

    assert json.loads(outside.stdout)["search"] == "found", "the twin"
    seen = json.loads(inside.text)
    assert seen["search"] == seen["request"] == os.strerror(38) and not seen["listed"], seen


SHARED = """
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
key, name = int(sys.argv[1]), sys.argv[2]
segment = libc.shmget(key, 4096, 0)
queue = libc.msgget(key, 0)
seen = {"segment": segment >= 0, "queue": queue >= 0, "by name": os.path.exists("/dev/shm/" + name)}
if len(sys.argv) > 3:
    libc.shmget(key + 1, 4096, 0o1666)
    open("/dev/shm/" + name + "-inside", "w").close()
    seen["own"] = libc.shmget(key + 1, 4096, 0) >= 0
print(json.dumps(seen))
"""


def test_shared_memory_and_queues_are_of_one_side_only(rig, alone):
    libc = ctypes.CDLL(None, use_errno=True)
    key, name = 0x5A000000 | (os.getpid() & 0xFFFF), f"sanctum-{rig.folder.name}"
    segment, queue = libc.shmget(key, 4096, 0o1666), libc.msgget(key, 0o1666)
    assert segment >= 0 and queue >= 0
    path = Path("/dev/shm") / name
    path.touch()
    try:
        arguments = [PYTHON, "-c", SHARED, str(key), name]
        outside = subprocess.run(arguments, capture_output=True, check=True, **rig.identity.popen)
        inside = rig.run(*arguments, "make", profile=alone)
        assert set(json.loads(outside.stdout).values()) == {True}, "the twin"
        assert json.loads(inside.text) == {"segment": False, "queue": False, "by name": False, "own": True}
        assert libc.shmget(key + 1, 4096, 0) < 0 and not Path(f"{path}-inside").exists(), "the reverse"
    finally:
        libc.shmctl(segment, 0, None)
        libc.msgctl(queue, 0, None)
        path.unlink()


def test_mounts_made_outside_later_do_not_show_inside(rig, alone):
    """And the tree of mounts outside is after the mission what it was before."""
    identities.require(os.geteuid() == 0, "needs root to mount outside")
    place = rig.make("home/work/place")
    before = sorted(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    script = "echo ready; read line; ls place; cat /proc/self/mountinfo >mounts; ls place | wc -l"
    running = rig.start("sh", "-c", script, profile=alone)
    assert running.read_line() == "ready"
    subprocess.run(["mount", "-t", "tmpfs", "later", str(place)], check=True)
    try:
        (place / "mounted-later").touch()
        running.send("\n")
        outcome = running.finish()
    finally:
        subprocess.run(["umount", str(place)], check=True)

    assert outcome.text == "0\n", outcome
    assert " later " not in (rig.work / "mounts").read_text()
    after = sorted(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    assert after == before


# ---- the machine's services ------------------------------------------------------------------------------------

WELL_KNOWN = """
/run/docker.sock /var/run/docker.sock /run/containerd/containerd.sock /run/podman/podman.sock /run/crio/crio.sock
/run/libvirt/libvirt-sock /run/systemd/private /run/systemd/notify /run/systemd/journal/socket
/run/systemd/journal/stdout /run/systemd/resolve/io.systemd.Resolve /run/dbus/system_bus_socket /run/nscd/socket
/run/cups/cups.sock /run/snapd.socket /run/avahi-daemon/socket /run/pcscd/pcscd.comm /run/user/61234/bus
/run/user/61234/gnupg/S.gpg-agent /run/user/61234/keyring/ssh /run/user/61234/wayland-0 /run/user/61234/pipewire-0
/run/screen/S-user/1.pts /tmp/tmux-61234/default /tmp/.X11-unix/X0 /tmp/ssh-canary/agent.1 /dev/log
/tmp/vscode-ipc-canary.sock /var/lib/sss/pipes/nss
""".split()


def test_services_at_well_known_places_are_not_in_view(rig, alone):
    """Made in a mount namespace of the test's own, with tmpfs over the folders: the machine keeps nothing of it."""
    identities.require(os.geteuid() == 0, "needs root to cover /run")
    serve = ("import json, os, socket, subprocess, sys\n"
             "def mount(*words): subprocess.run(['mount', *words], check=True)\n"
             "for folder in ('/run', '/var/lib'): mount('-t', 'tmpfs', 'tmpfs', folder)\n"
             "os.mkdir('/run/tmp')\n"
             "mount('--rbind', '/tmp', '/run/tmp')\n"
             "mount('-t', 'tmpfs', '-o', 'mode=1777', 'tmpfs', '/tmp')\n"
             "for needed in json.loads(sys.argv[3]):\n"
             "    if not needed.startswith('/tmp/'): continue\n"
             "    os.makedirs(needed)\n"
             "    mount('--bind', '/run' + needed, needed)\n"
             "subprocess.run(['umount', '--lazy', '/run/tmp'], check=True)\n"
             "kept = []\n"
             "for path in json.loads(sys.argv[1]):\n"
             "    os.makedirs(os.path.dirname(path), exist_ok=True)\n"
             "    if os.path.lexists(path): continue\n"
             "    kept.append(socket.socket(socket.AF_UNIX)); kept[-1].bind(path); kept[-1].listen(5)\n"
             "    os.chmod(path, 0o777)\n"
             "for place, folders, files in os.walk('/run'): os.chmod(place, 0o755)\n"
             "if os.getuid() == 0 and sys.argv[2] != '0':\n"
             "    os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))\n"
             "sys.exit(subprocess.run(sys.argv[4:], close_fds=False).returncode)\n")
    made_later = [path for path in WELL_KNOWN if not path.startswith("/dev/")]
    needed = json.dumps([str(rig.folder), str(BIN.parent)])
    in_namespace = ["unshare", "--mount", PYTHON, "-c", serve, json.dumps(made_later), str(rig.identity.uid), needed]
    attempts = json.dumps({path: ["connect", "AF_UNIX", path] for path in WELL_KNOWN})
    rig.write(rig.work / "reach.py", (SUPPORT / "reach.py").read_bytes())
    reach = [PYTHON, "reach.py", attempts]
    outside = json.loads(subprocess.run([*in_namespace, *reach], cwd=rig.work, capture_output=True, check=True).stdout)

    done = subprocess.run([*in_namespace, *rig.command_line(alone, [], reach)], cwd=rig.work, env=rig.environment,
                          capture_output=True, check=False)

    assert done.returncode == 0, done
    inside = json.loads(done.stdout)
    assert list(outside.values()).count("ok") > 24, outside
    assert set(inside.values()) == {"ENOENT"}, inside


CANARY = "canary-of-the-environment"
VARIABLES = """
LISTEN_FDS LISTEN_PID LISTEN_FDNAMES NOTIFY_SOCKET WATCHDOG_USEC JOURNAL_STREAM INVOCATION_ID DBUS_SESSION_BUS_ADDRESS
DBUS_SYSTEM_BUS_ADDRESS SSH_AUTH_SOCK SSH_AGENT_PID SSH_CONNECTION GPG_AGENT_INFO GNUPGHOME DISPLAY WAYLAND_DISPLAY
XAUTHORITY PULSE_SERVER PIPEWIRE_REMOTE VSCODE_IPC_HOOK VSCODE_GIT_IPC_HANDLE TMUX STY XDG_SESSION_ID XDG_SEAT
BASH_ENV ENV PROMPT_COMMAND PS4 CDPATH LD_DEBUG_OUTPUT LD_PROFILE PYTHONSTARTUP PYTHONPATH PYTHONHOME
PERL5OPT PERL5LIB RUBYOPT NODE_OPTIONS NODE_PATH JAVA_TOOL_OPTIONS GIT_DIR GIT_SSH_COMMAND GIT_ASKPASS GIT_CONFIG_COUNT
GITHUB_TOKEN GH_TOKEN GITLAB_TOKEN AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_PROFILE GOOGLE_APPLICATION_CREDENTIALS
AZURE_CLIENT_SECRET ANTHROPIC_API_KEY OPENAI_API_KEY LANGCHAIN_API_KEY LC_SECRET TERM_SESSION_ID TERMINFO_DIRS
NPM_TOKEN DOCKER_HOST KUBECONFIG HTTP_PROXY https_proxy ALL_PROXY SSL_CERT_DIR NODE_EXTRA_CA_CERTS SUDO_USER
""".split()


def test_no_variable_arrives_that_was_not_named(rig, alone):
    """Sixty that activate, execute or authenticate; some begin like one that is passed (LANGCHAIN, TERM_SESSION_ID)."""
    canaries = dict.fromkeys(VARIABLES, CANARY)
    outcome = rig.run("env", "-0", profile=alone, environment={**canaries, "LANG": "C.UTF-8"},
                      options=["-e", "TERMINFO_DIRS"])

    inside = dict(line.split("=", 1) for line in outcome.text.split("\0") if line)
    assert len(VARIABLES) >= 60
    assert [name for name, value in inside.items() if CANARY in value] == ["TERMINFO_DIRS"], "the twin: the named one"


def test_a_socket_is_covered_in_every_place_that_shows_it(rig, alone):
    """A folder that is granted twice, as part of the workspace and under another name."""
    rig.make("home/work/sub")
    path = rig.work / "sub" / "tool.sock"
    rig.write(rig.work / "reach.py", (SUPPORT / "reach.py").read_bytes())
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(5)
        path.chmod(0o777)
        rig.identity.own(path)
        places = [str(path), "/other/tool.sock"]
        attempts = json.dumps({place: ["connect", "AF_UNIX", place] for place in places})
        outside = subprocess.run([PYTHON, "reach.py", attempts], cwd=rig.work, capture_output=True, check=True,
                                 **rig.identity.popen)

        inside = rig.run(PYTHON, "reach.py", attempts, profile=alone,
                         options=["--mount", f"{path.parent}:/other"])

    assert json.loads(outside.stdout)[str(path)] == "ok", "the twin"
    assert inside.code == 0, inside
    assert set(json.loads(inside.text).values()) <= {"ECONNREFUSED", "EACCES", "ENOTSOCK"}, inside


# ---- our own processes -----------------------------------------------------------------------------------------

ROLES = ("launcher", "interceptor", "dialler", "vault", "init")
LOOK_INTO = """
import json, os, sys
def look(path):
    try:
        if path.endswith(("/fd", "/map_files")): return "open" if os.listdir(path) is not None else ""
        if path.endswith(("/root", "/cwd", "/exe")): return "open" if os.readlink(path) else ""
        with open(path, "rb") as file: path.endswith("/mem") or file.read(1)
        return "open"
    except OSError as error:
        return error.strerror
names = ("mem", "environ", "maps", "fd", "root", "cwd", "auxv", "io")
print(json.dumps({pid: {name: look(f"/proc/{pid}/{name}") for name in names} for pid in sys.argv[1:]}))
"""


@pytest.fixture
def waiting(rig, service):
    """A mission with a service whose command waits."""
    running = rig.start("sh", "-c", "echo ready; read line", profile=service).wait_until_started()
    assert running.read_line() == "ready"
    yield running
    running.send("\n")
    running.finish()


def test_a_process_of_the_same_user_cannot_look_into_ours(rig, waiting):
    somebody = rig.identity if rig.identity.uid else identities.identity_of("user")
    with subprocess.Popen(["sleep", "60"], **somebody.popen) as own:
        pids = [str(waiting.roles()[role]) for role in ROLES]
        done = subprocess.run([PYTHON, "-c", LOOK_INTO, *pids, str(own.pid)], capture_output=True, check=True,
                              **somebody.popen)
        own.kill()

    seen = json.loads(done.stdout)
    assert set(seen.pop(str(own.pid)).values()) == {"open"}, "the twin: its own process is an open book"
    for pid, looks in seen.items():
        assert "open" not in looks.values(), (ROLES[pids.index(pid)], looks)


def test_a_crash_leaves_no_core(rig, service):
    import resource
    limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        identities.require(os.geteuid() == 0, "needs core files to be allowed here")
    running = rig.start("sh", "-c", f"curl -s https://{API}/hello; echo ready; read line", profile=service,
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, limits)).wait_until_started()
    assert running.read_line() == "hello from upstream" and running.read_line() == "ready"
    roles = running.roles()
    for role in ROLES:
        lines = Path(f"/proc/{roles[role]}/limits").read_text().splitlines()
        assert [line.split()[4:6] for line in lines if line.startswith("Max core")] == [["0", "0"]], role
    os.kill(roles["interceptor"], signal.SIGSEGV)
    outcome = running.finish()

    assert outcome.code not in (0, 125), outcome
    cores = [path for path in rig.folder.rglob("core*") if path.is_file()]
    assert cores == [], cores


HOSTILE = """
LD_LIBRARY_PATH LD_AUDIT GCONV_PATH LOCPATH OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES SSL_CERT_FILE SSL_CERT_DIR
HTTPS_PROXY HTTP_PROXY ALL_PROXY RES_OPTIONS HOSTALIASES LOCALDOMAIN RESOLV_HOST_CONF MALLOC_TRACE TMPDIR BASH_ENV
SSLKEYLOGFILE GLIBC_TUNABLES ASAN_OPTIONS SQLITE_TMPDIR NLSPATH CARES_SERVERS
""".split()


def test_hostile_variables_reach_none_of_our_processes(rig, service, upstream):
    identities.require(os.geteuid() == 0, "needs root to read the environment of the processes")
    place = rig.make("hostile")
    variables = {name: str(place / CANARY) for name in HOSTILE}
    variables["GLIBC_TUNABLES"] = f"glibc.malloc.check=0:{CANARY}=1"
    running = rig.start("sh", "-c", f"curl -fsS https://{API}/hello; read line", profile=service,
                        environment=variables).wait_until_started()
    assert running.read_line() == "hello from upstream"
    roles = running.roles()
    environments = {role: Path(f"/proc/{roles[role]}/environ").read_bytes() for role in ROLES}
    running.send("\n")
    outcome = running.finish()

    assert len(HOSTILE) > 20 and CANARY.encode() in environments.pop("launcher"), "the twin: the launcher was given it"
    for role, environment in environments.items():
        assert CANARY.encode() not in environment, (role, environment)
    assert outcome.code == 0 and len(upstream.exchanges) == 1
    assert list(place.iterdir()) == [], "nothing was written where a variable said"


FAKED = ["git", "ip", "newuidmap", "newgidmap", "mount", "umount", "sh", "bash", "env", "true", "nft", "iptables",
         "sanctum", "sanctum-run", "sanctum-interceptor", "sanctum-vault", "sanctum_shipped", "cat", "pinentry"]


def test_no_program_is_found_through_the_path_or_the_working_directory(rig, service, upstream):
    fakes, marker = rig.make("fakes"), rig.folder / "executed"
    for name in FAKED:
        for folder in (fakes, rig.work):
            rig.write(folder / name, f"#!/bin/sh\necho {name} >>{marker}\n", 0o755)
    environment = {"PATH": f"{fakes}:.:/usr/bin:/bin"}
    subprocess.run([fakes / "git"], check=True, **rig.identity.popen)
    assert marker.read_text() == "git\n", "the twin"
    marker.unlink()

    outcome = rig.run("/usr/bin/curl", "-fsS", f"https://{API}/hello", profile=service, environment=environment)
    for arguments in (("ps",), ("audit", "verify", outcome.folder.name), ("doctor",), ("reap",)):
        rig.sanctum(*arguments, environment=environment)

    assert outcome.text == "hello from upstream\n" and not marker.exists(), marker.read_text()


# ---- what the agent does to itself ------------------------------------------------------------------------------

SELF_FILTER = """
import ctypes, errno, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
number = 42 if os.uname().machine == "x86_64" else 203  # connect
class Step(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.POINTER(Step))]
load, equal, answer = 0x20, 0x15, 0x06
steps = (Step * 4)(Step(load, 0, 0, 0), Step(equal, 0, 1, number), Step(answer, 0, 0, 0x00050000),
                   Step(answer, 0, 0, 0x7fff0000))
assert libc.prctl(22, 2, ctypes.byref(Program(4, steps)), 0, 0) == 0, os.strerror(ctypes.get_errno())
made = socket.socket()
made.connect(("192.0.2.1", 443))  # the filter says 0 and nothing happens: our notice is never made
try:
    made.send(b"x")
    print("sent")
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def test_an_agent_that_hides_its_calls_reaches_nothing_by_it(rig, service, upstream):
    outcome = rig.run(PYTHON, "-c", SELF_FILTER, profile=service)

    assert outcome.text in ("EPIPE\n", "ENOTCONN\n") and outcome.code == 0, outcome
    assert upstream.connections == 0


FROM_MEMORY = """
import os, sys
program = os.memfd_create("program", 0)
os.write(program, b"") ; os.sendfile(program, os.open("/usr/bin/python3", os.O_RDONLY), 0, 1 << 30)
os.execve(program, ["python3", "-c", sys.argv[1]], dict(os.environ, PYTHONHOME="/usr"))
"""
BY_LOADER = """
import glob, os, sys
os.execv(glob.glob("/lib*/ld-linux-*")[0], ["ld", "/usr/bin/python3", "-c", sys.argv[1]])
"""
PLAINLY = "import sys; exec(sys.argv[1])"
CONFINED = """
import json, os, socket
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
seen = {name: status[name] for name in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")}
def tried(attempt):
    try:
        return str(attempt())
    except OSError as error:
        return os.strerror(error.errno)
seen["port"] = tried(lambda: socket.create_connection(("192.0.2.1", 8443), 3))
seen["file"] = tried(lambda: open("/etc/shadow"))
seen["init"] = tried(lambda: open("/proc/1/exe", "r+b"))
seen["itself"] = tried(lambda: open("/proc/self/exe", "r+b"))
print(json.dumps(seen))
"""


@pytest.mark.parametrize("way", [FROM_MEMORY, BY_LOADER, PLAINLY], ids=["from memory", "by the loader", "plainly"])
def test_how_a_program_is_started_changes_nothing(rig, alone, way):
    programs = {name: (BIN / name).read_bytes() for name in ("sanctum-run", "sanctum-interceptor", "sanctum-vault")}

    outcome = rig.run(PYTHON, "-c", way, CONFINED, profile=alone)

    seen = json.loads(outcome.text)
    assert (seen["CapEff"], seen["CapBnd"], seen["NoNewPrivs"], seen["Seccomp"]) == ("0" * 16, "0" * 16, "1", "2")
    assert seen["port"] == os.strerror(111) and seen["file"] in (os.strerror(2), os.strerror(13)), seen
    for exe in (seen["init"], seen["itself"]):
        assert exe in [os.strerror(number) for number in (1, 2, 13, 26, 30)], seen
    assert {name: (BIN / name).read_bytes() for name in programs} == programs


STORM = """
import os, socket, sys
def child():
    for port in (80, 81):
        with socket.socket() as made:
            try:
                made.connect(("192.0.2.1", port))
            except OSError:
                pass
    os._exit(0)
for number in range(int(sys.argv[1])):
    if (pid := os.fork()) == 0:
        child()
    if number % 8 == 0:
        while True:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                break
print("done", flush=True)
input()
"""


def test_storms_of_processes_and_connections_leave_the_launcher_as_it_was(rig, service):
    script = f"i=0; while [ $i -lt 200 ]; do echo a | cat | cat >/dev/null; i=$((i+1)); done; echo first; read line; " \
             f"exec {PYTHON} -c \"$1\" 1000"
    running = rig.start("dash", "-c", script, "dash", STORM, profile=service).wait_until_started()
    assert running.read_line() == "first"
    roles = running.roles()
    count = (lambda role: len(os.listdir(f"/proc/{roles[role]}/fd"))) if os.geteuid() == 0 else (lambda role: 0)
    before = {role: count(role) for role in ("launcher", "interceptor")}
    running.send("\n")
    assert running.read_line() == "done"
    after = {role: count(role) for role in before}
    running.send("\n")
    outcome = running.finish()

    assert outcome.code == 0, outcome
    assert all(after[role] <= before[role] + 40 for role in before), (before, after)
    assert len(outcome.of_type("connection.refused")) > 0
