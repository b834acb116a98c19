# SPDX-License-Identifier: Apache-2.0
"""A private git host and web site on loopback: Debian's lighttpd with TLS over `git http-backend`, behind a password.

    git_host.py FOLDER    prepares FOLDER, prints one JSON line (port, ca_file, user, password_file, repository), then
                          becomes the server (same process id) until it is killed.

Used by the end-to-end tests and by scripts/quickstart. Everything lies in FOLDER and runs as the caller.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
SERVERS = SOURCE / "build" / "servers"
GIT_NAME = "git.quickstart.test"
WEB_NAME = "www.quickstart.test"
USER = "agent"

CONFIGURATION = """\
server.modules = ("mod_openssl", "mod_auth", "mod_authn_file", "mod_alias", "mod_setenv", "mod_cgi", "mod_accesslog")
server.document-root = "{folder}/www"
server.bind = "127.0.0.1"
server.port = {port}
server.systemd-socket-activation = "enable"
server.errorlog = "{folder}/error.log"
accesslog.filename = "{folder}/access.log"
server.upload-dirs = ("{folder}/uploads")
# HTTP/2 and request streaming break pushes of many megabytes through mod_cgi in this version.
server.feature-flags = ("server.h2proto" => "disable")
server.stream-request-body = 0
server.max-request-size = 0
mimetype.assign = (".html" => "text/html", ".json" => "application/json", ".txt" => "text/plain")
ssl.engine = "enable"
ssl.pemfile = "{folder}/server.pem"
ssl.privkey = "{folder}/server.key"
$HTTP["host"] =~ "^{git_name}(:[0-9]+)?$" {{
  $HTTP["url"] =~ "^/git/" {{
    alias.url = ("/git/" => "{backend}/")
    cgi.assign = ("" => "")
    auth.backend = "htpasswd"
    auth.backend.htpasswd.userfile = "{folder}/users"
    auth.require = ("" => ("method" => "basic", "realm" => "git", "require" => "valid-user"))
    setenv.add-environment = ("GIT_PROJECT_ROOT" => "{folder}/repositories", "GIT_HTTP_EXPORT_ALL" => "1",
                              "HOME" => "{folder}", "GIT_CONFIG_NOSYSTEM" => "1")
  }}
}}
"""


def run(*command, folder, text=None):
    """Runs a tool with nothing of the caller's git configuration."""
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1",
                   "GIT_AUTHOR_NAME": "Quickstart", "GIT_AUTHOR_EMAIL": "quickstart@example.invalid",
                   "GIT_COMMITTER_NAME": "Quickstart", "GIT_COMMITTER_EMAIL": "quickstart@example.invalid",
                   "OPENSSL_CONF": "/etc/ssl/openssl.cnf"}
    return subprocess.run(command, cwd=folder, env=environment, input=text, check=True, text=True,
                          capture_output=True).stdout


def make_certificates(folder):
    """A root and a server certificate for both names, by the openssl command."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7",
        "-subj", "/CN=Quickstart authority", "-keyout", "ca.key", "-out", "ca.pem",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign", folder=folder)
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={GIT_NAME}",
        "-keyout", "server.key", "-out", "server.csr", folder=folder)
    (folder / "names.cnf").write_text(f"subjectAltName=DNS:{GIT_NAME},DNS:{WEB_NAME}\nextendedKeyUsage=serverAuth\n"
                                      "basicConstraints=critical,CA:FALSE\n")
    run("openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", "7", "-extfile", "names.cnf", "-out", "server.pem", folder=folder)


def make_repository(folder):
    """`demo.git` with a history of three commits on main."""
    repositories = folder / "repositories"
    repositories.mkdir()
    bare = repositories / "demo.git"
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(bare), folder=folder)
    work = folder / "seed"
    run("git", "init", "--quiet", "--initial-branch=main", str(work), folder=folder)
    for number, line in enumerate(("A demonstration.", "It has a history.", "Three commits long."), 1):
        with open(work / "README.md", "a", encoding="utf-8") as readme:
            readme.write(line + "\n")
        run("git", "-C", str(work), "add", "README.md", folder=folder)
        run("git", "-C", str(work), "commit", "--quiet", "-m", f"Commit {number}", folder=folder)
    run("git", "-C", str(work), "push", "--quiet", str(bare), "main", folder=folder)
    return bare


def prepare(folder, password):
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("www", "uploads"):
        (folder / name).mkdir()
    (folder / "www" / "index.html").write_text("<title>Quickstart</title><p>A page from the private web site.</p>\n")
    (folder / "www" / "facts.json").write_text('{"page": "facts", "answer": 42}\n')
    make_certificates(folder)
    hashed = run("openssl", "passwd", "-apr1", "-stdin", folder=folder, text=password + "\n").strip()
    (folder / "users").write_text(f"{USER}:{hashed}\n")
    (folder / "users").chmod(0o600)
    return make_repository(folder)


def backend_folder(folder):
    """A folder that holds the CGI program under every repository path lighttpd may ask for: one link."""
    backend = Path(subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True).stdout.strip())
    return backend / "git-http-backend"


def become_server(folder, listener):
    """Hands the listening socket over (systemd's protocol) and becomes lighttpd, keeping the process id."""
    port = listener.getsockname()[1]
    configuration = folder / "lighttpd.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, backend=backend_folder(folder),
                                                  git_name=GIT_NAME.replace(".", "\\.")))
    log = os.open(folder / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if listener.fileno() != 3:
        os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
    os.execv(SERVERS / "usr/sbin/lighttpd", ["lighttpd", "-D", "-f", str(configuration), "-m",
                                              str(SERVERS / "usr/lib/lighttpd")])


def main():
    folder = Path(sys.argv[1]).resolve()
    password = secrets.token_urlsafe(24)
    bare = prepare(folder, password)
    (folder / "password").write_text(password)
    (folder / "password").chmod(0o600)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(json.dumps({"port": listener.getsockname()[1], "ca_file": str(folder / "ca.pem"), "user": USER,
                      "password_file": str(folder / "password"), "repository": str(bare), "pid": os.getpid()}),
          flush=True)
    become_server(folder, listener)


if __name__ == "__main__":
    main()
