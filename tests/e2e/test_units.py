# SPDX-License-Identifier: Apache-2.0
"""The units of the Debian package under systemd itself, which is process 1 of a throw-away machine: an overlay over
this one, in namespaces of its own. A mission is killed there with all its processes, and the machine boots.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import identity as identities
from packages import build_package

# A group of its own for all that follows, so that systemd finds an empty tree; gone when it is.
IN_A_GROUP = r"""
set -eu
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then tree=/sys/fs/cgroup; else tree=/sys/fs/cgroup/systemd; fi
mkdir "$tree/$1"
(echo 0 >"$tree/$1/cgroup.procs"; shift
 exec unshare --mount --propagation private --pid --fork --cgroup --uts --ipc --net sh -c "$@") || status=$?
find "$tree/$1" -depth -type d -exec rmdir {} +
exit "${status:-0}"
"""

# Makes the machine, lets a mission be killed on it, and becomes its systemd. /proc/sys stays as it is: it is not only
# this machine's.
BOOT = r"""
set -eu
folder=$1
umount -l /sys/fs/cgroup/unified 2>/dev/null || true
mount -t tmpfs tmpfs "$folder/made"; mkdir "$folder/made/upper" "$folder/made/work" "$folder/made/root"
root=$folder/made/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/made/upper,workdir=$folder/made/work" "$root"
mount -t proc proc "$root/proc"; mount --rbind /dev "$root/dev"; mount -t sysfs sysfs "$root/sys"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"; else
  mount -t tmpfs tmpfs "$root/sys/fs/cgroup"; mkdir "$root/sys/fs/cgroup/systemd"
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
fi
mkdir "$root/old" "$root/result"; mount --bind "$folder/result" "$root/result"
cd "$root"; pivot_root . old; cp "old$folder"/*.deb /; cp -a "old$folder/machine/." /; umount -l /old; rmdir /old
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp
export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive container=throw-away
unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_RUNTIME_DIR SANCTUM_CONFIG SANCTUM_PROFILE
dpkg -i /*.deb >/dev/null; systemd-tmpfiles --create sanctum.conf
sh /kill-a-mission.sh >/result/before 2>&1
mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; mount -o remount,ro /sys
exec /lib/systemd/systemd --system --unit=tested.target --show-status=no
"""

TOKEN = r"""#!/bin/sh
case "$1" in
issue) printf '{"secret": "token-of-a-program", "handle": "key-1"}' ;;
revoke)
  echo "revoked $SANCTUM_HANDLE with HOME=$HOME" >>/var/lib/sanctum/told
  for place in /etc "$HOME" /workspace; do ! touch "$place/written" 2>/dev/null || echo "wrote $place"; done \
    >>/var/lib/sanctum/told ;;
esac
"""
CONFIGURATION = """schema = 1
[[account]]
name = "me"
catalog = "github"
source = "command"
command = ["/root/bin/token", "issue"]
revoke = ["/root/bin/token", "revoke"]
"""
PROFILE = """schema = 1
[mission]
name = "m"
ttl = "10m"
[sandbox]
workspace = "."
[[service]]
name = "github"
catalog = "github"
account = "me"
warm = true
grant = ["issues:read"]
resources = { repo = ["acme/api"] }
"""
# Only processes of this machine's own namespace are seen, and none of them is left.
KILL = r"""
cd /workspace
sanctum-run --quiet --profile m -- sleep 300 &
for try in $(seq 600); do sleep 0.1; sanctum leases | grep -q 'held until' && break; done
sanctum leases
kill -9 $(pgrep sanctum); wait
sanctum audit list
"""
# The boot has run the one unit already; the other one is what the timer starts.
AFTER = r"""
systemctl show --value -p Result sanctum-recover.service; journalctl -o cat --no-pager -u sanctum-recover.service
sanctum audit list; sanctum leases; sanctum audit verify; cat /var/lib/sanctum/told
umount -l /proc/sys  # what a boot would have written there it has not; with a part of /proc masked no mission starts
rm /var/lib/sanctum/told; sh /kill-a-mission.sh
systemctl start sanctum-reap.timer && systemctl is-active sanctum-reap.timer
systemctl start sanctum-reap.service; systemctl show --value -p Result sanctum-reap.service
sanctum audit list; sanctum leases; cat /var/lib/sanctum/told
systemd-analyze --no-pager security sanctum-reap.service | tail -1
echo the end
"""
UNITS = {
    "tested.target": "[Unit]\nRequires=tested.service\nAllowIsolate=yes\n",
    "tested.service": "[Unit]\nDefaultDependencies=no\nAfter=sanctum-recover.service\nWants=sanctum-recover.service\n"
                      "[Service]\nType=oneshot\nExecStart=/bin/sh /after.sh\nExecStopPost=/bin/systemctl exit 7\n"
                      "StandardOutput=append:/result/after\nStandardError=append:/result/after\n",
}


def write_machine(folder):
    files = {"root/bin/token": TOKEN, "etc/sanctum/config.toml": CONFIGURATION, "etc/sanctum/profiles/m.toml": PROFILE,
             "kill-a-mission.sh": KILL, "after.sh": AFTER,
             **{f"etc/systemd/system/{name}": text for name, text in UNITS.items()}}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "root/bin/token").chmod(0o755)
    (folder / "etc/sanctum/config.toml").chmod(0o600)
    (folder / "workspace").mkdir()
    os.chown(folder / "workspace", 1000, 1000)
    # What a boot does to the kernel, which is not this machine's alone.
    for unit in ("systemd-sysctl.service", "systemd-modules-load.service", "systemd-binfmt.service",
                 "proc-sys-fs-binfmt_misc.automount", "systemd-udevd.service", "systemd-udev-trigger.service"):
        (folder / "etc/systemd/system" / unit).symlink_to("/dev/null")


@pytest.fixture(scope="module")
def booted():
    """What was seen before and after the boot."""
    if os.geteuid() != 0:
        identities.require(False, "run as root (or with sudo): booting a machine needs it")
    identities.require(Path("/lib/systemd/systemd").exists(), "systemd is not installed (scripts/setup package)")
    identities.require_program("dpkg-deb")
    folder = Path(identities.make_folder(identities.identity_of("root"), "sanctum-boot-"))
    try:
        for name in ("made", "result", "machine"):
            (folder / name).mkdir()
        write_machine(folder / "machine")
        build_package(folder, 1)
        done = subprocess.run(["sh", "-c", IN_A_GROUP, "sh", folder.name, BOOT, "sh", folder], capture_output=True,
                              text=True, check=False, timeout=180)
        assert done.returncode == 7, done.stdout + done.stderr
        yield (folder / "result" / "before").read_text(), (folder / "result" / "after").read_text()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_boot_finishes_what_was_cut_off(booted):
    before, after = booted
    mission = re.search(r"(\w{26}) +unsealed", before).group(1)
    assert f"{mission} l1  github, account me (command), issues:read: held until" in before

    boot, told, _ = re.split(r"(revoked key-1 .*\n)", after, maxsplit=1)
    assert boot.startswith("success\n") and f"{mission} recovered: ledger sealed, 1 lease end(s) recorded" in boot
    assert re.search(rf"{mission} +sealed +lost", boot) and f"{mission} sealed, " in boot
    assert "No credential is out." in boot, "given back by a program in the operator's home"
    assert told == "revoked key-1 with HOME=/root\n"


def test_the_timers_unit_does_the_same_while_the_machine_runs(booted):
    _, after = booted
    later = after.split("revoked key-1", maxsplit=1)[1]

    cut_off, separator, finished = later.partition("\nactive\nsuccess\n")
    assert separator, after
    mission = re.search(r"(\w{26}) +unsealed", cut_off).group(1)
    assert re.search(rf"{mission} +sealed +lost", finished)
    assert "No credential is out." in finished and "revoked key-1 with HOME=/root\n" in finished
    assert after.endswith("the end\n")


def test_a_unit_writes_nowhere_but_into_sanctums_own_folders(booted):
    """The twin: what it runs cannot change the machine, wherever it lies."""
    assert "wrote" not in booted[1]
