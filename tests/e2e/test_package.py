# SPDX-License-Identifier: Apache-2.0
"""The Debian package, built from the programs under test, in a throw-away machine: an overlay over this one in a
mount namespace of its own. It installs, runs a mission, upgrades, is removed and purged; this machine stays as it was.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import identity as identities
from packages import build_package

# Makes the throw-away root and becomes it; then runs the script on standard input.
ENTER = r"""
set -eu
mount -t tmpfs tmpfs "$1"; mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
for place in proc sys dev; do mount --rbind "/$place" "$1/root/$place"; done
mkdir "$1/root/old"; cd "$1/root"; pivot_root . old; cp -r "old$2" /packages; umount -l /old; rmdir /old
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp
export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_RUNTIME_DIR SANCTUM_CONFIG SANCTUM_PROFILE
cd /; exec bash -euo pipefail -s
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Two packages of these programs; the second is newer."""
    identities.require_program("dpkg-deb")
    folder = tmp_path_factory.mktemp("packages")
    return folder, build_package(folder, 1), build_package(folder, 2)


def in_throw_away_root(packages, script, tmp_path):
    if os.geteuid() != 0:
        identities.require(False, "run as root (or with sudo): installing a package needs it")
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "enter", tmp_path,
                           packages[0]], input=script, capture_output=True, text=True, check=False, timeout=300)
    if "unknown filesystem type" in done.stderr:
        identities.require(False, "this kernel has no overlayfs")
    return done


def listing_of(package):
    return subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout.splitlines()


def dpkg_field(package, field):
    return subprocess.run(["dpkg-deb", "-f", package, field], capture_output=True, text=True, check=True).stdout.strip()


def test_it_holds_what_belongs_in_and_nothing_with_more_rights(packages):
    listing = listing_of(packages[1])
    rows = [(line.split()[0], line.split()[1], line.split()[5].removeprefix(".")) for line in listing]
    paths = {path for _, _, path in rows}
    for wanted in ("/usr/bin/sanctum", "/usr/bin/sanctum-run", "/usr/libexec/sanctum/sanctum-vault",
                   "/usr/libexec/sanctum/sanctum-interceptor", "/usr/share/sanctum/catalog/github.entry",
                   "/usr/share/doc/sanctum/copyright", "/usr/share/doc/sanctum/changelog.Debian.gz",
                   "/usr/lib/systemd/user/sanctum-reap.timer", "/usr/share/zsh/vendor-completions/_sanctum",
                   "/usr/share/man/man1/sanctum-run.1.gz", "/usr/lib/tmpfiles.d/sanctum.conf"):
        assert wanted in paths
    assert not [path for path in paths if "test" in path or path.endswith((".a", ".hpp"))]
    assert {owner for _, owner, _ in rows} == {"root/root"}
    assert not [path for mode, _, path in rows if "s" in mode or mode[8] == "w"], listing
    depends = dpkg_field(packages[1], "Depends")
    assert "libsqlite3-0" in depends and "libsodium23" in depends and "gtest" not in depends


LIFE = r"""
fails() { if "$@" >/dev/null 2>&1; then echo "worked and must not: $*" >&2; exit 1; fi; }  # `!` never ends a script
dpkg -i /packages/sanctum_*-1_*.deb >/dev/null
/usr/bin/sanctum doctor --plain | grep 'all programs'
test "$(dpkg-query -W -f '${Status}' sanctum)" = 'install ok installed'
mkdir -p /etc/sanctum/profiles /workspace && chown 1000:1000 /workspace
printf 'schema = 1\n[mission]\nname = "m"\nttl = "1m"\n[sandbox]\nworkspace = "."\n' >/etc/sanctum/profiles/m.toml
cd /workspace
sanctum-run --quiet --profile m -- sh -c 'echo ran as $(id -u)'
fails sanctum-run --quiet --profile m -- cat /etc/shadow
sanctum audit verify
systemd-analyze verify --man=no sanctum-reap.timer sanctum-reap.service sanctum-recover.service
systemd-tmpfiles --dry-run --create sanctum.conf 2>/dev/null || systemd-tmpfiles --create sanctum.conf
test -L /etc/systemd/system/timers.target.wants/sanctum-reap.timer
test -L /etc/systemd/system/multi-user.target.wants/sanctum-recover.service
MANPATH=/usr/share/man man -w sanctum sanctum-run sanctum-profile sanctum-config >/dev/null
bash -c '. /usr/share/bash-completion/completions/sanctum; complete -p sanctum sanctum-run' >/dev/null

dpkg -i /packages/sanctum_*-2_*.deb >/dev/null
test "$(dpkg-query -W -f '${Version}' sanctum)" = "$VERSION-2"
sanctum audit verify
sanctum-run --quiet --profile m -- echo ran after the upgrade

dpkg -r sanctum >/dev/null
test ! -e /usr/bin/sanctum-run && test ! -e /usr/bin/sanctum
test ! -e /usr/libexec/sanctum && test ! -e /usr/share/sanctum
test -d /var/lib/sanctum
dpkg -P sanctum
test ! -L /etc/systemd/system/timers.target.wants/sanctum-reap.timer
test ! -L /etc/systemd/system/multi-user.target.wants/sanctum-recover.service
test -s /var/lib/sanctum/state/receipts.jsonl && test -s /etc/sanctum/profiles/m.toml
fails dpkg-query -W sanctum
test -z "$(find /usr /lib/systemd /etc -path '*sanctum*' -not -path '/etc/sanctum*' -not -path '/usr/src/*')"
echo the end
"""


def test_it_installs_runs_upgrades_is_removed_and_purged(packages, tmp_path):
    version = dpkg_field(packages[1], "Version").rpartition("-")[0]
    before = shutil.which("sanctum-run")

    done = in_throw_away_root(packages, f"VERSION={version}\n{LIFE}", tmp_path)

    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "the end", done.stdout + done.stderr
    for line in ("ran after the upgrade", "/var/lib/sanctum stays"):
        assert line in done.stdout, done.stdout
    ran_as = int(re.search(r"ran as (\d+)", done.stdout).group(1))
    assert ran_as != 0
    assert shutil.which("sanctum-run") == before and not Path("/var/lib/dpkg/info/sanctum.list").exists()


def test_without_its_libraries_it_does_not_install(packages, tmp_path):
    """The twin: dependencies are really declared, so a machine that lacks one gets no half-working Sanctum."""
    done = in_throw_away_root(packages, "dpkg --force-depends --remove libsodium23 >/dev/null 2>&1\n"
                              "dpkg -i /packages/sanctum_*-1_*.deb\n", tmp_path)
    assert done.returncode != 0
    assert "libsodium23" in done.stderr, done.stderr


def test_the_same_programs_give_the_same_bytes(packages, tmp_path):
    """`scripts/reproducible` shows the same for the programs themselves; here it is the packing."""
    then = {"SOURCE_DATE_EPOCH": "1795600000"}
    first = build_package(tmp_path / "1", 1, umask=0o022, TZ="UTC", LC_ALL="C", **then)
    second = build_package(tmp_path / "2", 1, umask=0o022, TZ="Asia/Tokyo", LC_ALL="C.UTF-8", **then)
    later = build_package(tmp_path / "3", 1, umask=0o022, SOURCE_DATE_EPOCH="1795600001")

    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != later.read_bytes()


def test_a_builder_with_a_narrow_umask_makes_no_folder_that_others_cannot_enter(tmp_path):
    """Unpacked as root, such a folder would take `/usr` away from everybody."""
    package = build_package(tmp_path, 1, umask=0o077)

    modes = {line.split()[0] for line in listing_of(package) if line.startswith("d")}
    assert modes == {"drwxr-xr-x"}


def test_lintian_finds_no_error(packages):
    lintian = identities.require_program("lintian")
    done = subprocess.run([lintian, "--allow-root", "--fail-on", "error", packages[1]], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
