# SPDX-License-Identifier: Apache-2.0
"""Files: what was granted works, the rest of the machine is not there."""

import os
import stat

import pytest


def write(box, path, text="x", mode=0o644):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    box.who.own(path)
    return path


def test_the_workspace_is_writable_and_files_belong_to_its_owner(box):
    path = os.path.join(box.workspace, "made")
    assert box.probe("probe_files", "create", path).only["result"] == "done"
    assert os.stat(path).st_uid == os.stat(box.workspace).st_uid


def test_a_file_outside_every_grant_is_not_there(box):
    path = write(box, os.path.join(box.folder, "outside"), mode=0o644)
    assert box.probe("probe_files", "read", path).only["errno"] == "ENOENT"
    assert box.probe("probe_files", "read", path, options=("--read", path)).only["result"] == "done"


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/ssh/ssh_config", "/var/lib/dpkg/status", "/sys/kernel",
                                  "/proc/kcore", "/root/.ssh", "/boot", "/home", "/dev/kmsg", "/dev/mem", "/dev/vda"])
def test_places_of_the_machine_are_not_there(box, path):
    assert box.probe("probe_files", "read", path).only.get("errno") in ("ENOENT", "EISDIR", "EACCES")
    listed = box.run("/bin/sh", "-c", f"head -c1 {path} 2>/dev/null | wc -c; ls -A {path} 2>/dev/null | wc -l")
    assert listed.stdout.split() == ["0", "0"]


def test_a_read_grant_cannot_be_written(box):
    path = write(box, os.path.join(box.folder, "granted"), mode=0o666)
    assert box.probe("probe_files", "read", path, options=("--read", path)).only["result"] == "done"
    assert box.probe("probe_files", "write", path, options=("--read", path)).only["errno"] in ("EROFS", "EACCES")
    assert box.probe("probe_files", "write", path, options=("--write", path)).only["result"] == "done"


@pytest.mark.parametrize("path", ["/made", "/etc/made", "/run/made", "/usr/made", "/proc/sys/kernel/made", "/dev/made",
                                  "/run/sanctum/made", "/etc/ssl/certs/made", "/var/made"])
def test_the_root_is_read_only(box, path):
    assert box.probe("probe_files", "create", path).only["errno"] in ("EROFS", "EACCES", "ENOENT", "EPERM")


@pytest.mark.parametrize("path", ["/tmp/made", "/dev/shm/made", "/var/tmp/made", "~/made"])
def test_scratch_places_are_writable(box, path):
    assert box.probe("probe_files", "create", path.replace("~", box.home)).only["result"] == "done"
    assert not os.path.exists(os.path.join(box.home, "made"))


def test_own_rules_are_readable_and_fixed(box):
    rules = "/run/sanctum/policy.json"
    assert box.probe("probe_files", "read", rules).only["result"] == "done"
    for op in ("write", "remove"):
        assert box.probe("probe_files", op, rules).only["errno"] in ("EROFS", "EACCES")


def test_kernel_settings_cannot_be_written(box):
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/user/max_user_namespaces", "/proc/sysrq-trigger",
                 "/proc/sys/vm/drop_caches"):
        assert box.probe("probe_files", "write", path).only["errno"] in ("EROFS", "EACCES", "ENOENT"), path


def test_devices_and_set_id_files_cannot_be_made(box):
    in_workspace = os.path.join(box.workspace, "node")
    assert box.probe("probe_files", "device", in_workspace).only["errno"] == "EPERM"
    assert box.probe("probe_files", "make_setid", in_workspace).only["errno"] == "EPERM"
    file = write(box, os.path.join(box.workspace, "file"))
    assert box.probe("probe_files", "setid", file).only["errno"] == "EPERM"
    assert not os.stat(file).st_mode & (stat.S_ISUID | stat.S_ISGID)
    assert box.run("/bin/chmod", "755", file).code == 0


def test_a_set_id_program_changes_nobody(box):
    program = os.path.join(box.folder, "bin", "probe_process")
    os.chmod(program, 0o4755)
    status = box.probe("probe_process", "status").only
    assert len(set(status["Uid"].split())) == 1 and "0" not in status["Uid"].split()


def test_mounts_are_refused(box):
    assert box.probe("probe_files", "mount", "/tmp").only["errno"] == "EPERM"


def test_known_places_of_secrets_are_hidden_unless_named(box):
    granted = os.path.join(box.folder, "project")
    secret = os.path.join(granted, "sub", ".ssh")
    os.makedirs(secret)
    key = write(box, os.path.join(secret, "id"))
    wide = ("--read", granted)
    assert box.probe("probe_files", "read", key, options=wide).only["errno"] == "ENOENT"
    assert box.probe("probe_files", "read", key, options=wide + ("--read", secret)).only["result"] == "done"


def test_a_file_given_as_input_cannot_be_opened_for_writing(box):
    path = write(box, os.path.join(box.folder, "input"), mode=0o666)
    with open(path, "rb") as file:
        ended = box.probe("probe_files", "write", "/proc/self/fd/0", stdin=file)
    assert ended.only["errno"] in ("EACCES", "ENOENT", "EROFS")


@pytest.mark.parametrize("place", ["/", "home", "above home", "/etc", "/usr"])
def test_a_grant_that_is_too_wide_is_refused(box, place):
    path = {"home": box.home, "above home": box.folder}.get(place, place)
    ended = box.run("/bin/true", options=("--write", path))
    assert ended.code == 125 and "sandbox: " in ended.stderr


def test_a_link_in_the_place_of_a_source_is_not_followed_at_the_mount(box):
    outside = os.path.join(box.folder, "bin")
    link = os.path.join(box.folder, "link")
    os.symlink(outside, link)
    # Named by its link it is granted as what it is now, below the name that was asked for.
    assert box.run("/bin/ls", link, options=("--read", link)).stdout.split() != []
