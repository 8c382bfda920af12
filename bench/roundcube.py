"""A private Roundcube over a private Dovecot, behind php-fpm and nginx, all on loopback and below one folder.

Debian's packages, with their own defaults: nothing in /etc is read but what they put there, and nothing is written.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

#: What there has to be; bench/pages.py says so where it is missing.
PACKAGES = ("roundcube-core", "roundcube-sqlite3", "php-fpm", "php-sqlite3", "dovecot-imapd", "nginx")
#: Anybody's; Dovecot asks for no better one.
PASSWORD = "secret"
CODE = Path("/var/lib/roundcube")
#: A worker each for as many people at once as our own reader has workers by default.
WORKERS = 2

DOVECOT = """\
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
first_valid_uid = 0
mail_uid = 0
mail_gid = 0
first_valid_gid = 0
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
# The very files that our reader shows; what Dovecot writes beside them lies elsewhere.
mail_location = maildir:{mail}/%Ld/%Ln/Maildir:INDEX={home}/index/%Ld/%Ln:CONTROL={home}/control/%Ld/%Ln
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={home}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""

FPM = """\
[global]
error_log = {home}/fpm.log
daemonize = no
[roundcube]
user = nobody
group = nogroup
listen = {home}/fpm.sock
listen.mode = 0666
pm = static
pm.max_children = {workers}
env[ROUNDCUBE_CONFIG_DIR] = {home}/config
"""

NGINX = """\
daemon off;
pid {home}/nginx.pid;
error_log {home}/nginx.log;
worker_processes 1;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {home}/nginx-body;
  proxy_temp_path {home}/nginx-proxy;
  fastcgi_temp_path {home}/nginx-fastcgi;
  uwsgi_temp_path {home}/nginx-uwsgi;
  scgi_temp_path {home}/nginx-scgi;
  upstream reader {{ server 127.0.0.1:{reader}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{theirs};
    root {code}/public_html;
    index index.php;
    location ~ \\.php$ {{
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_pass unix:{home}/fpm.sock;
    }}
  }}
  server {{
    listen 127.0.0.1:{ours};
    location / {{
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_pass http://reader;
    }}
  }}
}}
"""

SETTINGS = """\
<?php
$config = [];
$config['db_dsnw'] = 'sqlite:///{home}/roundcube.sqlite?mode=0646';
$config['imap_host'] = '127.0.0.1:{imap}';
$config['des_key'] = 'twenty four characters!!';
$config['plugins'] = [];
$config['skin'] = 'elastic';
$config['log_dir'] = '{home}/log/';
$config['temp_dir'] = '{home}/temp/';
$config['mail_pagesize'] = 50;
$config['enable_installer'] = false;
"""


@dataclass(frozen=True)
class Ports:
    """Where it answers on loopback."""

    web: int
    imap: int


def missing() -> list[str]:
    """Return the Debian packages that would have to be installed first."""
    there = {
        "roundcube-core": CODE / "index.php",
        "roundcube-sqlite3": CODE / "SQL" / "sqlite.initial.sql",
        "php-fpm": _program("php-fpm8.2", "php-fpm8.3", "php-fpm8.4"),
        "php-sqlite3": next(Path("/usr/lib/php").glob("*/pdo_sqlite.so"), None),
        "dovecot-imapd": Path("/usr/lib/dovecot/imap"),
        "nginx": _program("nginx"),
    }
    return [package for package in PACKAGES if not ((path := there[package]) and path.exists())]


@contextmanager
def running(home: Path, mail: Path, *, ours: int, reader: int) -> Iterator[Ports]:
    """Run all of it over the mail root *mail*. nginx also leads port *ours* to the one of our *reader*."""
    imap, theirs = free_port(), free_port()
    words = {
        "home": home, "mail": mail, "password": PASSWORD, "port": imap, "imap": imap, "workers": WORKERS,
        "code": CODE, "theirs": theirs, "ours": ours, "reader": reader,
    }  # fmt: skip
    for folder in ("config", "log", "temp", "run", "state", "index", "control"):
        (home / folder).mkdir(parents=True)
        shutil.chown(home / folder, "nobody", "nogroup")
    for name, text in (("dovecot.conf", DOVECOT), ("fpm.conf", FPM), ("nginx.conf", NGINX)):
        (home / name).write_text(text.format_map(words))
    (home / "config" / "config.inc.php").write_text(SETTINGS.format_map(words))
    for name in ("defaults.inc.php", "mimetypes.php"):
        (home / "config" / name).symlink_to(CODE / "config" / name)
    _database(home / "roundcube.sqlite")
    shutil.chown(home, "nobody", "nogroup")
    fpm = _program("php-fpm8.2", "php-fpm8.3", "php-fpm8.4")
    with ExitStack() as stack:
        for command in (
            [_program("dovecot"), "-F", "-c", home / "dovecot.conf"],
            [fpm, "--nodaemonize", "--allow-to-run-as-root", "--fpm-config", home / "fpm.conf"],
            [_program("nginx"), "-p", home, "-c", home / "nginx.conf"],
        ):
            stack.enter_context(_process([str(word) for word in command], home / "output"))
        for port in (imap, theirs):
            wait_for(port, home / "output")
        yield Ports(theirs, imap)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int, output: Path) -> None:
    """Wait until somebody listens on *port*, or raise RuntimeError with what was said until then."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}: {output.read_text()}")


def _database(path: Path) -> None:
    database = sqlite3.connect(path)
    database.executescript((CODE / "SQL" / "sqlite.initial.sql").read_text())
    database.close()
    shutil.chown(path, "nobody", "nogroup")


def _program(*names: str) -> Path | None:
    search = os.environ.get("PATH", "") + ":/usr/sbin"
    return next((Path(found) for name in names if (found := shutil.which(name, path=search))), None)


@contextmanager
def _process(command: list[str], output: Path) -> Iterator[None]:
    with output.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
