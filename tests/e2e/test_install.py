# SPDX-License-Identifier: Apache-2.0
"""An installation is whole: missions run from any prefix, programs and shipped files find each other, and a prefix with
a missing or foreign part is a clear error that ran nothing. Completions and pages are those of the programs."""

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import identity as identities
import rig as rig_module
from rig import API, SOURCE
from terminal import Terminal

BUILD = rig_module.BIN.parent
INNER = "libexec/sanctum"
HIDDEN = "--describe-command-line"


def install(prefix, **environment):
    done = subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix, "--component", "sanctum"],
                          capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return prefix


@pytest.fixture(scope="module")
def whole():
    """One installation for all tests, readable by everybody, as a package's is."""
    folder = Path(tempfile.mkdtemp(prefix="sanctum-prefix-"))
    folder.chmod(0o755)
    yield install(folder / "prefix")
    shutil.rmtree(folder)


@pytest.fixture
def prefix(whole, tmp_path_factory, monkeypatch):
    """A copy that a test may break; the rig runs the programs in it."""
    copy = whole.parent / f"copy-{os.urandom(4).hex()}"
    shutil.copytree(whole, copy)
    monkeypatch.setattr(rig_module, "BIN", copy / "bin")
    return copy


def test_a_mission_runs_from_the_prefix_with_the_shipped_files(rig, service, upstream, prefix):
    outcome = rig.run("curl", "-fsS", f"https://{API}/describe", profile=service)

    assert outcome.code == 0, outcome
    assert outcome.of_type("exchange.outcome")[0]["outcome"] == "complete"
    rig.expect_ok(rig.sanctum("check", "generic"))
    assert "all programs" in rig.sanctum("doctor", "--plain").stdout.decode()


def remove_interceptor(prefix):
    (prefix / INNER / "sanctum-interceptor").unlink()
    return "sanctum-interceptor: No such file or directory (is Sanctum installed as a whole?)"


def remove_vault(prefix):
    (prefix / INNER / "sanctum-vault").unlink()
    return "sanctum-vault: No such file or directory (is Sanctum installed as a whole?)"


def put_another_program_for_the_vault(prefix):
    shutil.copy("/bin/true", prefix / INNER / "sanctum-vault")
    return "vault"


def damage_a_catalog_entry(prefix):
    entry = prefix / "share/sanctum/catalog/http-bearer.entry"
    data = bytearray(entry.read_bytes())
    data[len(data) // 2] ^= 1
    entry.write_bytes(data)
    return "http-bearer.entry"


def remove_the_catalog(prefix):
    shutil.rmtree(prefix / "share/sanctum/catalog")
    return "catalog"


@pytest.mark.parametrize("break_it", [remove_interceptor, remove_vault, put_another_program_for_the_vault,
                                      damage_a_catalog_entry, remove_the_catalog])
def test_a_prefix_that_is_not_whole_runs_nothing_and_says_what_lacks(rig, service, prefix, break_it):
    named = break_it(prefix)

    outcome = rig.run("touch", "ran", profile=service)

    assert outcome.code == 125, outcome
    assert named in outcome.errors, outcome
    assert not (rig.work / "ran").exists()


def test_nothing_is_setuid_or_writable_by_others(whole):
    paths = [path for path in whole.rglob("*") if not path.is_symlink()]
    assert len(paths) > 20
    for path in paths:
        assert path.stat().st_mode & 0o6022 == 0, f"{path}: {path.stat().st_mode:o}"


# ---- what is written from the command lines ----------------------------------------------------------------------

def described(whole):
    """(path of commands, description) of every command, as the programs themselves tell it."""
    def tell(*command):
        done = subprocess.run([*command, HIDDEN], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)
    run, vault = tell(whole / "bin/sanctum-run"), tell(whole / INNER / "sanctum-vault", "store")
    found = {"sanctum-run": run}

    def walk(path, command):
        found[path] = command
        for inner in command["commands"]:
            walk(f"{path} {inner['name']}", inner)
    walk("sanctum vault", vault)
    return found


def help_of(whole, *path):
    return subprocess.run([whole / "bin" / path[0], *path[1:], "--help"], capture_output=True, text=True,
                          check=True).stdout


def commands_by_help(whole, *path):
    """All paths of commands, found by walking --help and nothing else."""
    yield path
    for line in help_of(whole, *path).partition("Subcommands:")[2].partition("\n\n")[0].splitlines():
        found = re.match(r"^  ([a-z]+)", line)
        if found:
            yield from commands_by_help(whole, *path, found.group(1))


def options_by_help(whole, path):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+(?![\w-])", help_of(whole, *path).partition("Example:")[0]))


@pytest.fixture(scope="module")
def options(whole):
    """Options of each command as --help shows them: what completions and pages are held against."""
    # `sanctum vault --help` shows its commands in words of its own.
    paths = [path for path in commands_by_help(whole, "sanctum") if path[1:] != ("vault",)] + [("sanctum-run",)]
    paths += [("sanctum", "vault", command["name"]) for command in described(whole)["sanctum vault"]["commands"]]
    found = {" ".join(path): options_by_help(whole, path) for path in dict.fromkeys(paths)}
    assert len(found) > 20 and "--older" in found["sanctum prune"] and "--replace" in found["sanctum vault restore"]
    return found


def read_page(whole, name):
    text = gzip.decompress((whole / "share/man" / f"man{name[-1]}" / f"{name}.gz").read_bytes()).decode()
    return text.replace("\\-", "-").replace("\\&", "").replace("\\e", "\\")


def test_every_option_and_command_is_in_completions_and_manual_pages(whole, options):
    page = read_page(whole, "sanctum.1") + read_page(whole, "sanctum-run.1")
    zsh = (whole / "share/zsh/site-functions/_sanctum").read_text()
    fish = (whole / "share/fish/vendor_completions.d/sanctum.fish").read_text()
    for path, names in options.items():
        assert f".SS {path}\n" in page or path in ("sanctum", "sanctum-run"), path
        for name in names:
            assert f"\\fB{name}\\fR" in page, f"{path} {name}"
            assert f"{name}[" in zsh, f"{path} {name}"
            assert f" -l {name[2:]} " in fish, f"{path} {name}"


@pytest.mark.parametrize("page", ["sanctum.1", "sanctum-run.1", "sanctum-profile.5", "sanctum-config.5"])
def test_manual_pages_are_understood_by_man_without_a_warning(whole, page):
    identities.require_program("man")
    path = whole / "share/man" / f"man{page[-1]}" / f"{page}.gz"
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path], capture_output=True,
                          text=True, check=False, env={**os.environ, "MANWIDTH": "100"})
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert len(done.stdout) > 1000


@pytest.mark.parametrize("page", ["sanctum.1", "sanctum-run.1", "sanctum-profile.5", "sanctum-config.5"])
def test_a_page_names_the_files_and_every_other_page_but_not_itself(whole, page):
    text = read_page(whole, page)
    files, _, others = text.partition(".SH FILES\n")[2].partition(".SH SEE ALSO\n")
    assert "~/.config/sanctum/config.toml" in files and "/var/lib/sanctum/state/" in files
    named = re.findall(r"^\.BR (\S+) \((\d)\)", others, re.MULTILINE)
    assert {f"{name}.{section}" for name, section in named} == \
        {"sanctum.1", "sanctum-run.1", "sanctum-profile.5", "sanctum-config.5"} - {page}


@pytest.mark.parametrize("page, file", [("sanctum-profile.5", "mission-1.json"),
                                        ("sanctum-config.5", "configuration-1.json")])
def test_a_page_of_a_format_has_every_key_of_its_schema(whole, options, page, file):
    text = read_page(whole, page)
    schema_text = (whole / "share/sanctum/schema" / file).read_text()
    schema = json.loads(schema_text)

    def keys(node):
        for name, inner in node.get("properties", {}).items():
            yield name
            yield from keys(inner)
            yield from keys(inner.get("items", {}))
    described = [schema, *schema["definitions"].values()]
    names = {name for node in described for name in keys(node)}
    assert len(names) > 25
    for name in names:
        assert re.search(rf"[.\[ ]{re.escape(name)}(\]|\.NAME\]|\n)", text), name
    assert "See the schema." not in text, "each key has words of its own"
    for words in re.findall(r'"description": "(.*?[^\\])"', schema_text):
        assert words.endswith(".") and words.count("[") == words.count("]"), f"cut off: {words}"
    for command, option in re.findall(r"`(sanctum(?:-run| [a-z]+)) (--[a-z-]+)", schema_text):
        assert option in options[command], f"{command} has no {option}"


def complete(whole, *words, cwd=None):
    """What a bash with our script offers for the last of `words`, which are as typed: with quotes and backslashes."""
    script = whole / "share/bash-completion/completions/sanctum"
    line = shlex.join(words)
    program = (f"PATH={whole}/bin:$PATH; source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
               f"_sanctum_complete {words[0]}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    done = subprocess.run(["bash", "--norc", "-uc", program], capture_output=True, text=True, check=False,
                          cwd=cwd or whole)
    assert done.returncode == 0, done.stderr
    return set(filter(None, done.stdout.split("\n")))


def test_bash_completes_commands_options_and_values(whole, options):
    assert complete(whole, "sanctum", "pru") == {"prune"}
    assert complete(whole, "sanctum", "audit", "") == {"list", "show", "verify"}
    assert complete(whole, "sanctum", "init", "--agent", "c") == {"claude", "codex"}
    assert complete(whole, "sanctum", "completion", "") == {"bash", "zsh", "fish"}
    assert complete(whole, "sanctum-run", "--profile", "sha") == {"share"}
    assert complete(whole, "sanctum-run", "--profile", "quick") == {"quickstart"}
    assert complete(whole, "sanctum", "check", "quick") == {"quickstart"}
    assert "last" in complete(whole, "sanctum", "show", "")
    assert "--ttl" not in complete(whole, "sanctum-run", "--", "--t")
    for path, names in options.items():
        offered = complete(whole, *path.split(), "--")
        assert names - {"--help-all"} <= offered, f"{path}: {names - offered}"


def test_bash_completes_a_file_with_blanks_as_one_word(whole, tmp_path):
    (tmp_path / "my profile.toml").touch()
    for before in (["sanctum", "check"], ["sanctum", "trust"], ["sanctum", "trust", "--remove"],
                   ["sanctum-run", "--profile"], ["sanctum-run", "--config"]):
        for typed in ("my", "my\\ p", '"my p', "'my p"):
            assert complete(whole, *before, typed, cwd=tmp_path) == {"my profile.toml"}, (before, typed)

    caller = identities.Identity("caller", os.geteuid(), os.getegid())
    environment = {"PATH": f"{whole}/bin:/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb", "PS1": "ready "}
    shell = Terminal(["bash", "--norc", "-i"], environment, tmp_path, caller, size=(50, 200))
    try:
        shell.type(f"source {shlex.quote(str(whole / 'share/bash-completion/completions/sanctum'))}; echo begun$?\n")
        shell.read_until("begun0")
        for typed in ("my", "my\\ p"):
            shell.read_until("ready ")
            shell.type(f"sanctum check {typed}\t")
            shell.read_until(re.escape("sanctum check my\\ profile.toml "))
            shell.type("\x15\n")
    finally:
        shell.close()


def test_bash_offers_for_an_argument_only_what_may_stand_at_its_place(whole):
    for path in (["sanctum", "explain"], ["sanctum", "explain", "--ref", "main"], ["sanctum", "trust", "--remove"]):
        assert complete(whole, *path, "sha") == {"share"}, path
    for path in (["sanctum", "explain", "mission.toml"], ["sanctum", "connect"], ["sanctum", "show", "last"],
                 ["sanctum", "completion", "bash"], ["sanctum", "explain", "mission.toml", "--ref"],
                 ["sanctum", "vault", "add"]):
        assert complete(whole, *path, "") == set(), path
    assert complete(whole, "sanctum", "audit", "verify", "last", "la") == {"last"}, "this one takes several"


def test_bash_is_offered_nothing_that_a_program_would_refuse(whole, options):
    for path in options:
        offered = {word for word in complete(whole, *path.split(), "-") if word.startswith("--")}
        assert offered <= options[path] | {"--version"}, f"{path}: {offered - options[path]}"
    assert complete(whole, "sanctum", "frobnicate", "--fro") == set()


@pytest.mark.parametrize("shell, path", [("zsh", "share/zsh/site-functions/_sanctum"),
                                         ("fish", "share/fish/vendor_completions.d/sanctum.fish"),
                                         ("bash", "share/bash-completion/completions/sanctum")])
def test_each_shell_accepts_its_script(whole, shell, path):
    identities.require_program(shell)
    done = subprocess.run([shell, "-n", whole / path], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_fish_completes_commands_options_and_values(whole):
    identities.require_program("fish")

    def offered(line):
        program = f"source {whole}/share/fish/vendor_completions.d/sanctum.fish; complete -C '{line}'"
        done = subprocess.run(["fish", "--no-config", "-c", program], capture_output=True, text=True, check=True,
                              cwd=whole, env={**os.environ, "PATH": f"{whole}/bin:{os.environ['PATH']}"})
        return {row.split("\t")[0] for row in done.stdout.splitlines()}
    assert offered("sanctum pru") == {"prune"}
    assert offered("sanctum audit ") == {"list", "show", "verify"}
    assert offered("sanctum init --agent c") == {"claude", "codex"}
    assert "quickstart" in offered("sanctum-run --profile quick") and "share/" in offered("sanctum-run --profile sha")
    assert "quickstart" in offered("sanctum check quick")
    for line in ("sanctum explain sha", "sanctum explain --ref main sha", "sanctum trust --remove sha"):
        assert offered(line) == {"share/"}, line
    for line in ("sanctum connect ", "sanctum explain mission.toml ", "sanctum show last ", "sanctum completion bash ",
                 "sanctum vault add ", "sanctum explain mission.toml --ref "):
        assert offered(line) == set(), line
    assert offered("sanctum audit verify last la") == {"last"}, "this one takes several"
    listed = offered("sanctum audit list --")
    assert {"--agent", "--since"} <= listed and "--ttl" not in listed


@pytest.mark.parametrize("read", ["file", "source"])
def test_zsh_completes_from_a_file_and_from_source(whole, tmp_path, read):
    identities.require_program("zsh")
    script = whole / "share/zsh/site-functions/_sanctum"
    start = {"file": f"fpath=({script.parent} $fpath); autoload -Uz compinit; compinit -u -D",
             "source": "autoload -Uz compinit; compinit -u -D; source <(sanctum completion zsh)"}[read]
    caller = identities.Identity("caller", os.geteuid(), os.getegid())
    environment = {"PATH": f"{whole}/bin:/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb"}
    shell = Terminal(["zsh", "-f", "-i"], environment, whole, caller, size=(50, 200))
    try:
        shell.type(f"PS1='ready '; unset zle_bracketed_paste; {start}; bindkey '^I' complete-word; print begun$?\n")
        shell.read_until("begun0")
        for typed, shown in [("sanctum pru", "sanctum prune "), ("sanctum audit li", "sanctum audit list "),
                             ("sanctum-run --profile quicks", "sanctum-run --profile quickstart "),
                             ("sanctum-run -- mktem", "sanctum-run -- mktemp "),
                             ("sanctum-run --ttl 5m -- sanctum aud", "sanctum-run --ttl 5m -- sanctum audit ")]:
            shell.read_until("ready ")
            shell.type(typed + "\t")
            shell.read_until(re.escape(shown.removeprefix(typed)))
            shell.type("\x15\n")  # ^U takes the line away
        # Twins: before `--` there is no command, and behind it our own options are none of the command's.
        for typed in ("sanctum-run mktem", "sanctum-run -- mktemp --prof"):
            shell.read_until("ready ")
            shell.type(typed + "\tend")
            shell.read_until(re.escape(typed.split()[-1]) + "\a*end")
            shell.type("\x15\n")
    finally:
        shell.close()


def test_completion_from_half_an_installation_is_a_clear_error(prefix):
    (prefix / INNER / "sanctum-vault").unlink()
    done = subprocess.run([prefix / "bin/sanctum", "completion", "bash"], capture_output=True, text=True, check=False)
    assert done.returncode == 5 and done.stdout == ""
    assert "sanctum-vault: No such file or directory (is Sanctum installed as a whole?)" in done.stderr


# ---- files beside the programs -----------------------------------------------------------------------------------

def test_units_name_programs_of_this_prefix(whole):
    for unit in ("lib/systemd/system/sanctum-reap.service", "lib/systemd/system/sanctum-recover.service",
                 "share/systemd/user/sanctum-reap.service"):
        text = (whole / unit).read_text()
        program, = re.findall(r'^ExecStart="(.+)" reap$', text, re.MULTILINE)
        assert Path(program) == whole / "bin/sanctum" and os.access(program, os.X_OK)


def test_units_start_programs_of_a_prefix_with_blanks_and_percent_signs(whole):
    """Asked of systemd itself, which also says so where the program is gone."""
    identities.require_program("systemd-analyze")
    prefix = install(whole.parent / "pre  fix %h $HOME")

    def verify():
        return subprocess.run(["systemd-analyze", "verify", "--man=no", *prefix.rglob("*.service")],
                              capture_output=True, text=True, check=False)
    assert len(list(prefix.rglob("*.service"))) == 3
    started = verify()
    assert started.returncode == 0 and "sanctum" not in started.stderr, started
    (prefix / "bin/sanctum").unlink()
    assert f"{prefix}/bin/sanctum is not executable" in verify().stderr


def test_installations_at_the_same_time_keep_to_their_own_prefix(whole):
    """Everything that names the prefix is written when it is installed, in the one build folder."""
    prefixes = [whole.parent / f"prefix-{number}" for number in range(3)]
    commands = [["cmake", "--install", BUILD, "--prefix", prefix, "--component", "sanctum"] for prefix in prefixes]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]

    assert [process.wait() for process in running] == [0, 0, 0]

    for prefix in prefixes:
        fitted = [*prefix.rglob("*.service"), prefix / "share/sanctum/apparmor/sanctum-run"]
        assert len(fitted) == 4 and all(f"{prefix}/" in path.read_text() for path in fitted)


def test_the_apparmor_profile_names_every_program_that_is_installed(whole):
    text = (whole / "share/sanctum/apparmor/sanctum-run").read_text()
    profile = r'(?m)^profile sanctum-run "(/.*)/\{(.*)\}" flags=\(unconfined\) \{$'
    (prefix, alternatives), = re.findall(profile, text)
    assert prefix == str(whole)
    installed = {str(path.relative_to(whole)) for folder in ("bin", INNER) for path in (whole / folder).iterdir()}
    assert set(alternatives.split(",")) == installed
    assert re.search(r"^  userns,$", text, re.MULTILINE)


def test_the_apparmor_profile_matches_a_prefix_of_any_letters_and_nothing_else(whole):
    """What is a pattern elsewhere stands for itself."""
    prefix = install(whole.parent / 'pre fix*[1]{a,b}^?"')

    text = (prefix / "share/sanctum/apparmor/sanctum-run").read_text()
    escaped = str(whole.parent) + r'/pre fix\*\[1\]\{a,b\}\^\?\"'
    assert f'\nprofile sanctum-run "{escaped}/{{bin/sanctum,' in text, text


# What a login shell or the user's systemd looks through is asked of themselves.
SEARCHED = (["systemd-analyze", "--user", "unit-paths"], ["zsh", "-fc", "print -l $fpath"],
            ["fish", "-c", "printf '%s\\n' $fish_complete_path"])


def searched(command, home):
    identities.require_program(command[0])
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(home),
                   "XDG_DATA_DIRS": "/usr/local/share:/usr/share"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local", "~/.local"])
def test_units_of_users_and_completions_lie_where_they_are_looked_for(tmp_path, prefix):
    units, functions, fish = (searched(command, tmp_path) for command in SEARCHED)
    if prefix == "~/.local":
        there = there_and_below = install(tmp_path / ".local")
        functions += [str(there / "share/zsh/site-functions")]  # as the README has a user add to .zshrc
    else:
        install(prefix, DESTDIR=str(tmp_path))
        there, there_and_below = Path(prefix), tmp_path / prefix[1:]

    for name, places in (("sanctum-reap.timer", units), ("sanctum-reap.service", units), ("_sanctum", functions),
                         ("sanctum.fish", fish), ("sanctum-run.fish", fish)):
        found = [there / path.relative_to(there_and_below) for path in there_and_below.rglob(name)
                 if path.parent.name != "system"]
        assert len(found) == 1 and str(found[0].parent) in places, (found, places)
    service, = (path for path in there_and_below.rglob("sanctum-reap.service") if path.parent.name == "user")
    assert f'\nExecStart="{there}/bin/sanctum" reap\n' in service.read_text()


def test_the_container_recipe_uses_what_exists(whole):
    recipe = (SOURCE / "package/Containerfile").read_text()
    lines = [line for line in recipe.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    instructions = [line.split(None, 1) for line in lines]
    assert {name for name, _ in instructions} == {"ARG", "FROM", "COPY", "WORKDIR", "RUN", "USER", "ENTRYPOINT"}
    entry, = [json.loads(value) for name, value in instructions if name == "ENTRYPOINT"]
    assert (whole / Path(entry[0]).relative_to("/usr")).is_file()
    copied, = [value.split()[0] for name, value in instructions if name == "COPY"]
    ignored = (SOURCE / "package/Containerfile.dockerignore").read_text().splitlines()[1:]
    assert ignored == ["*", f"!{copied}"], "of the folder that cpack writes to, the image gets the package alone"
    made, = re.findall(r"podman build -f package/Containerfile -t sanctum build/release/(\S+)", recipe)
    assert f'(CPACK_PACKAGE_DIRECTORY "{BUILD / made}")' in (BUILD / "CPackConfig.cmake").read_text()
    assert instructions[-2][0] == "WORKDIR" and ["USER", "agent"] in instructions, "the entry point is not root"
