# SPDX-License-Identifier: Apache-2.0
"""The container recipe, built by podman on a Debian 12 made by debootstrap, with the package of the programs under
test in it. Missions run in the image with exactly what the recipe says that a container must permit.
"""

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import identity as identities
from packages import build_package
from rig import API, SOURCE

RECIPE = SOURCE / "package" / "Containerfile"
BASE = "localhost/debian:12"
IMAGE = "localhost/sanctum:tested"
MISSION = 'schema = 1\n[mission]\nname = "m"\nttl = "2m"\n[sandbox]\nworkspace = "."\n'
SERVICE = MISSION + '[[service]]\nname = "api"\ncatalog = "http-bearer"\naccount = "api"\ngrant = ["read"]\n'
KEY_FILE = "/home/agent/.local/store.key"
CONFIGURATION = f"""schema = 1
[store]
unlock = "key-file:{KEY_FILE}"
[[account]]
name = "api"
catalog = "http-bearer"
hosts = ["{API}"]
source = "local"
item = "api"
[upstream]
ca_file = "/home/agent/.config/sanctum/roots.pem"
[upstream.host."{API}"]
address = """
# The image has no other client.
ASK = (f"printf 'GET /describe HTTP/1.1\\r\\nHost: {API}\\r\\nConnection: close\\r\\n\\r\\n' | openssl s_client -quiet "
       f'-verify_return_error -CAfile "$SSL_CERT_FILE" -servername {API} -connect {API}:443')
# crun refuses a machine that has both versions of control groups, one of them with controllers and the other with
# some too: in a mount namespace of its own there is the first version alone.
ALONE = 'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'


def permissions():
    """The options of the recipe's own `podman run`, as far as they permit something."""
    words = re.findall(r"--security-opt ([a-z]+=\w+)", RECIPE.read_text().split("# As root, ")[0])
    assert words == ["seccomp=unconfined", "apparmor=unconfined", "unmask=ALL"]
    return words


class Podman:
    """Images and containers in a folder of their own, gone with it."""

    def __init__(self, folder):
        self.folder = folder
        # Podman asks for more open files than a machine may have to give.
        (folder / "containers.conf").write_text("[containers]\ndefault_ulimits = []\n")

    def run(self, *words, **options):
        command = ["podman", "--root", self.folder / "images", "--runroot", self.folder / "run",
                   "--cgroup-manager", "cgroupfs", *words]
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", ALONE, "sh", *command],
                              capture_output=True, text=True, check=False, timeout=300,
                              env={**os.environ, "CONTAINERS_CONF": str(self.folder / "containers.conf")}, **options)

    def must(self, *words, **options):
        done = self.run(*words, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def make_base(podman, folder):
    made = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", folder / "debian"], capture_output=True,
                          text=True, check=False)
    if made.returncode != 0:
        identities.require(False, f"debootstrap: no Debian 12 could be had: {made.stdout[-300:]}")
    with subprocess.Popen(["tar", "-C", folder / "debian", "-c", "."], stdout=subprocess.PIPE) as packed:
        podman.must("import", "-", BASE, stdin=packed.stdout)
    shutil.rmtree(folder / "debian")


@pytest.fixture(scope="module")
def podman():
    """With the image in it. A package's tests are about root: it is who installs."""
    if os.geteuid() != 0:
        identities.require(False, "run as root (or with sudo): debootstrap needs it")
    for program in ("podman", "crun", "debootstrap"):
        identities.require_program(program)
    folder = Path(identities.make_folder(identities.identity_of("root"), "sanctum-container-"))
    made = Podman(folder)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(made.run, "system", "reset", "--force")
        make_base(made, folder)
        context = folder / "context"
        context.mkdir()
        build_package(context, 1)
        made.must("build", "--network=host", "-f", RECIPE, "--build-arg", f"DEBIAN={BASE}", "-t", IMAGE, context)
        yield made


@pytest.fixture
def owner():
    """Whose the mounted folders are outside."""
    return 1000


@pytest.fixture
def places(podman, tmp_path, owner):
    """What the recipe mounts: a workspace, a configuration, and a volume for what stays."""
    for name in ("workspace", "config"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, owner, owner)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.name.startswith("pytest"):
            folder.chmod(0o755)
    (tmp_path / "workspace" / "mission.toml").write_text(MISSION)
    yield ["-v", f"{tmp_path}/workspace:/workspace", "-v", f"{tmp_path}/config:/home/agent/.config/sanctum:ro",
           "-v", "sanctum-data:/home/agent/.local"]
    podman.run("volume", "rm", "--force", "sanctum-data")


def contained(podman, places, permitted, *words, program=None, user=("--user", "1000:1000"), network="none", **options):
    permits = [word for permission in permitted for word in ("--security-opt", permission)]
    entry = ["--entrypoint", program] if program else []
    entry += ["--interactive"] if "input" in options else []
    return podman.run("run", "--rm", "--cgroups=disabled", f"--network={network}", *user, *permits, *entry, *places,
                      IMAGE, *words, **options)


def trust(podman, places, **options):
    done = contained(podman, places, permissions(), "trust", "mission.toml", program="/usr/bin/sanctum", **options)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mission_runs_in_it_and_its_record_stays_in_the_volume(podman, places):
    trust(podman, places)

    ran = contained(podman, places, permissions(), "--quiet", "--profile", "mission.toml", "--",
                    "sh", "-c", "echo ran as $(id -u); touch made; ls -A /home/agent/.local")

    assert ran.returncode == 2, ran.stdout + ran.stderr  # ls: the agent does not see what is outside of its mission
    assert ran.stdout == "ran as 1000\n"
    assert os.path.exists(f"{places[1].partition(':')[0]}/made")
    verified = contained(podman, places, [], "audit", "verify", program="/usr/bin/sanctum")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    listed = contained(podman, places, [], "audit", "list", program="/usr/bin/sanctum").stdout
    assert " sealed " in listed


# What `--userns=keep-id:uid=1000,gid=1000` makes for a caller of another id, without needing that one to be on this
# machine, or newuidmap: the caller is user 1000 of the image, everybody else somebody whom the machine has not.
CALLER = 2345
KEPT = [f"--{kind}={inside}:{outside}:{count}" for kind in ("uidmap", "gidmap")
        for inside, outside, count in ((0, 200000, 1000), (1000, CALLER, 1), (1001, 201001, 64000))]


@pytest.mark.parametrize("owner, user", [(1000, ["--user", "1000:1000"]), (CALLER, KEPT)], ids=["rootful", "kept id"])
def test_a_credential_of_the_volume_is_put_on_and_files_stay_the_callers(podman, places, tmp_path, owner, user,
                                                                         upstream, authority):
    token = "canary-of-the-volume-0123456789"
    files = {"config/config.toml": f'{CONFIGURATION}"{upstream.address}"\n', "workspace/mission.toml": SERVICE,
             "config/roots.pem": authority.ca_file.read_text()}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
        os.chown(tmp_path / name, owner, owner)

    def sanctum(*words, **options):
        done = contained(podman, places, permissions(), *words, program="/usr/bin/sanctum", user=user, **options)
        assert done.returncode == 0, done.stdout + done.stderr
    sanctum("vault", "init", "--key-file", KEY_FILE)
    sanctum("vault", "add", "api", input=token)
    trust(podman, places, user=user)
    ran = contained(podman, places, permissions(), "--quiet", "--profile", "mission.toml", "--", "sh", "-c",
                    f"{ASK} | tee made", user=user, network="host")

    assert ran.returncode == 0 and '"has_authorization": true' in ran.stdout, ran.stdout + ran.stderr
    assert token not in ran.stdout and upstream.exchanges[-1].header("authorization") == f"Bearer {token}"
    assert (tmp_path / "workspace/made").stat().st_uid == owner
    sanctum("audit", "verify")


def test_a_profile_that_nobody_trusted_does_not_run_in_it_either(podman, places):
    """The twin: a container is no reason to run what an agent may have written into its workspace."""
    ran = contained(podman, places, permissions(), "--profile", "mission.toml", "--", "true")

    assert ran.returncode == 125 and "sanctum trust /workspace/mission.toml" in ran.stderr, ran.stderr


@pytest.mark.parametrize("lacking", ["seccomp=unconfined", "unmask=ALL"])
def test_without_one_of_its_permissions_it_says_which_is_lacking(podman, places, lacking):
    trust(podman, places)
    permitted = [permission for permission in permissions() if permission != lacking]

    ran = contained(podman, places, permitted, "--profile", "mission.toml", "--", "sh", "-c", "echo ran")

    assert ran.returncode == 125 and "ran" not in ran.stdout
    assert "sanctum doctor" in ran.stderr, ran.stderr
    told = contained(podman, places, permitted, "doctor", program="/usr/bin/sanctum")
    assert told.returncode == 3, told.stdout + told.stderr
    bad = [line for line in told.stdout.splitlines() if "BAD" in line or "mend" in line]
    assert lacking in "".join(bad[:2]), told.stdout


def test_no_capability_and_no_new_privilege_is_needed(podman, places):
    trust(podman, places)

    ran = contained(podman, places, [*permissions(), "no-new-privileges"], "--quiet", "--profile", "mission.toml",
                    "--", "sh", "-c", "grep CapBnd /proc/self/status")

    assert ran.returncode == 0 and int(ran.stdout.split()[1], 16) == 0, ran.stdout + ran.stderr
