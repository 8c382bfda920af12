"""What a site could run instead of the milter: Dovecot by LMTP, and a pipe(8) filter around openssl."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.milter_fixtures import SENDER, TUNNEL, pair, write_pair

NOBODY = 65534

DOVECOT = """\
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
protocols = lmtp
listen = 127.0.0.1
ssl = no
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
first_valid_uid = 1
mail_location = maildir:{home}/mail/%d/%n
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={home}/mail/%d/%n allow_all_users=yes
}}
service lmtp {{
  process_min_avail = 4
  unix_listener {socket} {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""

#: Opens, checks, and keeps a mail as durably as we do, once for each recipient: the file synced, then its folder.
FILTER = """\
#!/bin/sh
set -e
umask 077
name=$(mktemp {home}/maildir/tmp/XXXXXXXXXXXX)
openssl cms -decrypt -recip {home}/recipient.pem -inkey {home}/recipient.key |
    openssl cms -verify -certfile {home}/sender.pem -nointern -noverify -out "$name" 2>/dev/null || exit 75
shift
for _ in "$@"; do
    copy=$(mktemp {home}/maildir/tmp/XXXXXXXXXXXX)
    cp "$name" "$copy"
    sync "$copy"
    mv "$copy" {home}/maildir/new/
done
sync "$name"
mv "$name" {home}/maildir/new/
sync {home}/maildir/new
"""
FILTER_SERVICE = "openssl unix - n n - 10 pipe flags=Rq user=nobody argv={home}/filter ${{recipient}}"


@contextmanager
def dovecot(home: Path) -> Iterator[Path]:
    """A private Dovecot that takes mail by LMTP; yields its socket."""
    socket = home / "lmtp"
    (home / "mail").mkdir(parents=True)
    os.chown(home / "mail", NOBODY, NOBODY)
    configuration = home / "dovecot.conf"
    configuration.write_text(DOVECOT.format(home=home, socket=socket))
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(
            [shutil.which("dovecot", path=os.environ["PATH"] + ":/usr/sbin") or "dovecot", "-F", "-c", configuration],
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 20
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Dovecot did not start: {(home / 'output').read_text()}")
            time.sleep(0.05)
        yield socket
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def openssl_filter(home: Path) -> str:
    """Write the filter; return its line for master.cf."""
    home.mkdir()
    write_pair(home / "recipient", *pair("recipient", TUNNEL))
    write_pair(home / "sender", *pair("sender", SENDER))
    for part in ("tmp", "new", "cur"):
        (home / "maildir" / part).mkdir(parents=True)
        os.chown(home / "maildir" / part, NOBODY, NOBODY)
    (home / "recipient.key").chmod(0o644)
    (home / "filter").write_text(FILTER.format(home=home))
    (home / "filter").chmod(0o755)
    return FILTER_SERVICE.format(home=home)
