"""What the product is made of and what it may do: no dangerous call without its reason, no network at import.

`tests/test_lock.py` holds lock, constraints and setup.cfg together.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

from proof import dangerous
from scripts import lock

from . import gateway_fixtures
from .milter_fixtures import Answer, Mta, Site, running
from .reader_fixtures import portal

ROOT = Path(__file__).parent.parent
ROOMS = {
    "messenger": "messenger",
    "milter": "messenger_milter",
    "reader": "messenger_reader",
    "pdfotp": "messenger_pdfotp",
}
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
TEMPLATES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("templates/*"))

#: What could do harm, may stay where it is, and why.
ALLOWED = {
    ("messenger/cli/doctor_apart.py", "os.fork()"): "a check that hangs is ended with its process",
    ("messenger/cli/doctor_clock.py", "import ctypes"): "asks the kernel whether the clock is set; sends nothing",
    ("messenger/cli/doctor_portal.py", '"0.0.0.0"'): "turned into an address to connect to; nothing listens",
    ("messenger/cli/doctor_portal.py", '"[::]"'): "the same",
    ("messenger/cli/doctor_portal.py", "CERT_NONE"): "to look at a certificate that is wrong; nothing is said over it",
    ("messenger/cli/doctor_portal.py", "check_hostname=False"): "the same",
    ("messenger/cli/doctor_portal.py", "import http.client"): "asks the portal of its own settings",
    ("messenger/cli/mail_archive.py", "import tarfile"): "members are read as octets, never unpacked to their names",
    ("messenger/cli/mail_archive.py", "import zipfile"): "the same",
    ("messenger/cli/pdf.py", "os.execve()"): "our own program, a list of words, no shell",
    ("messenger/cli/tunnel_certificates.py", "SHA1"): "old readers of a bundle know no other; its password counts",
    ("messenger/metrics.py", "import socketserver"): "listens where [metrics] says, and nowhere unless it says so",
    ("messenger/metrics.py", "import wsgiref.simple_server"): "the same",
    ("messenger/tunnel/correspondence.py", "SHA1"): "to refuse it where the site doesn't allow it",
    ("messenger/tunnel/decrypting.py", "TripleDES"): "refused unless the site allows it",
    ("messenger/tunnel/oids.py", "SHA1"): "OAEP's default, and a key derivation: collisions don't matter",
    ("messenger/tunnel/verifying.py", "SHA1"): "refused unless the site allows it",
    ("milter/messenger_milter/socket_file.py", "os.umask()"): "the socket is Postfix's alone from its first moment",
    ("reader/messenger_reader/own_look.py", "import xml.parsers"): "the operator's own logo; nothing follows entities",
    ("reader/messenger_reader/trust.py", "SHA1"): "the name of a refusal",
    ("reader/messenger_reader/zip_stream.py", "import zipfile"): "writes archives, reads none",
    ("pdfotp/messenger_pdfotp/confinement.py", "import ctypes"): "shuts the process in: prctl, seccomp, landlock",
    ("pdfotp/messenger_pdfotp/render_worker.py", "import ctypes"): "gives memory back: malloc_trim",
    ("pdfotp/messenger_pdfotp/render_worker.py", "os.fork()"): "each mail is laid out by a process of its own",
}  # fmt: skip
#: Where a template prints markup as it is, and who made it.
SAFE = {
    ("messenger/templates/pdf.html", "body.html"): "sanitised by messenger.message before it gets there",
    **dict.fromkeys(
        ((f"reader/messenger_reader/templates/{name}.html", "text") for name in ("text", "nested", "print", "message")),
        "messenger.message.text: escaped first, linked second",
    ),
    ("reader/messenger_reader/templates/thread.html", "line.text"): "the same",
}
#: Holes that were published, and the first version without them. For what no audit says where there is no network.
MENDED = {
    "aiohttp": ("3.13.3", "CVE-2025-69223"),
    "brotli": ("1.2.0", "CVE-2025-6176"),
    "certifi": ("2024.7.4", "CVE-2024-39689"),
    "cryptography": ("44.0.1", "CVE-2024-12797"),
    "dnspython": ("2.6.1", "CVE-2023-29483"),
    "flask": ("3.1.1", "CVE-2025-47278"),
    "fonttools": ("4.60.2", "CVE-2025-66034"),
    "gunicorn": ("23.0.0", "CVE-2024-6827"),
    "idna": ("3.7", "CVE-2024-3651"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "pillow": ("11.3.0", "CVE-2025-48379"),
    "requests": ("2.32.4", "CVE-2024-47081"),
    "setuptools": ("78.1.1", "CVE-2025-47273"),
    "urllib3": ("2.6.0", "CVE-2025-66418"),
    "weasyprint": ("70.0", "ways around the fetcher that lets nothing through"),
    "werkzeug": ("3.1.4", "CVE-2025-66221"),
}
IMPORTING = """
import importlib, json, pkgutil, sys
seen = []
def note(event, given):
    if event in ("socket.bind", "subprocess.Popen", "open"):
        seen.append((event, str(given[1] if event == "socket.bind" else given[0]), str(given[1])))
    elif event.startswith(("socket.connect", "socket.get", "socket.send", "urllib.", "http.", "smtplib.", "os.exec")):
        seen.append((event, str(given), ""))
    elif event in ("os.system", "os.posix_spawn", "os.fork", "os.remove", "os.rename", "os.mkdir", "sqlite3.connect"):
        seen.append((event, str(given[0]) if given else "", ""))
sys.addaudithook(note)
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(json.dumps([one for one in seen if one[0] != "open" or set(one[2]) & set("wax+")]))
"""


def imported(package: str) -> list[tuple[str, str, str]]:
    """What a process does that imports a whole package, warnings being errors."""
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", IMPORTING, package],
        env={**os.environ, "PYTHONPATH": ":".join(str(ROOT / room) for room in ("", *ROOMS))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [tuple(one) for one in json.loads(done.stdout)]


def test_no_dangerous_call_is_in_the_product_without_its_reason_and_no_reason_without_its_call():
    found = {(one.file, one.what) for path in FILES for one in dangerous.found(path, ROOT)}

    assert found == set(ALLOWED)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from xml.etree import ElementTree",
        "from urllib import request",
        "import urllib.request as r",
        "eval(x)",
        "os.system(x)",
        "subprocess.run(x, shell=True)",
        "tempfile.mktemp()",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "tarfile.open(x).extractall()",
        "Markup(f'<b>{x}</b>')",
        "markupsafe.Markup(x)",
        "flask.render_template_string(x)",
        "Environment(autoescape=False)",
        "server.bind(('0.0.0.0', 80))",
        "app.run(debug=True)",
        "hashlib.md5(x)",
        "kdf.hmac_hash(SHA1())",
        "connection.enable_load_extension(True)",
    ],
)
def test_a_dangerous_call_is_seen(tmp_path, source):
    file = tmp_path / "x.py"
    file.write_text(source)

    assert dangerous.found(file, tmp_path)


def test_markup_is_printed_as_it_is_where_somebody_answers_for_it_and_nowhere_else():
    found = {
        (path.relative_to(ROOT).as_posix(), expression.strip())
        for path in TEMPLATES
        for expression in re.findall(r"\{\{\s*([^{}|]+)\|\s*safe\b", path.read_text())
    }

    assert found == set(SAFE)


def test_no_template_turns_escaping_off_or_holds_a_script_or_a_handler_of_its_own():
    for path in TEMPLATES:
        text = path.read_text()
        assert not re.search(
            r"autoescape|\|\s*(tojson|string|forceescape|xmlattr)\b|javascript:|<[^>]*\son[a-z]+=", text
        ), path
        assert not re.search(r"<script(?![^>]*\bnonce=\"\{\{ nonce \}\}\" src=)", text), path


def test_every_rule_of_safety_that_is_set_aside_has_its_reason_beside_it():
    bare = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in FILES
        for line in path.read_text().splitlines()
        if re.search(r"# noqa: [\w, ]*\bS\d+\s*$|# nosec", line)
    ]

    assert bare == []


def test_ruffs_rules_of_safety_hold_for_the_whole_product():
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]

    assert "S" in lint["select"]
    assert {rule for rule in lint["ignore"] if rule.startswith("S")} == {"S101", "S603", "S607"}
    in_rooms = {where: rules for where, rules in lint["per-file-ignores"].items() if where.split("/")[0] in ROOMS}
    assert in_rooms == {"messenger/accounts/*": ["S608"]}


@pytest.mark.parametrize("package", ROOMS.values())
def test_an_import_asks_no_network_starts_nothing_writes_nothing_and_warns_of_nothing(package):
    happened = imported(package)

    if package == "messenger_pdfotp":
        # WeasyPrint looks for Pango by ctypes.util, which asks ldconfig, and a compiler where there is one.
        happened = [one for one in happened if Path(one[1]).name not in ("ldconfig", "gcc", "ld")]
        happened = [one for one in happened if not (one[0] in ("open", "os.remove") and one[1].startswith("/tmp"))]
    # urllib3, which pyhanko's checks of certificates bring along, tries whether there is IPv6: on loopback, any port.
    assert [one for one in happened if one[:2] != ("socket.bind", "('::1', 0)")] == []


def test_a_mail_is_taken_in_protected_and_read_without_a_warning(tmp_path, monkeypatch, recwarn):
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    site = Site(tmp_path / "portal")
    gateway = gateway_fixtures.Gateway(tmp_path / "gateway")

    with running(site) as milter, Mta(site.socket) as mta:
        assert mta.send(site.tunnel_mail()) == Answer("discard")
        assert "Warning" not in milter.text()
    with gateway_fixtures.running(gateway) as milter, gateway_fixtures.Client(gateway.socket) as client:
        assert client.send(gateway_fixtures.SECRET) == Answer("discard")
        assert "Warning" not in milter.text()
    assert portal(tmp_path).app.test_client().get("/login", base_url="https://webmail.example.org").status_code < 500
    assert [str(warning.message) for warning in recwarn] == []


def test_no_library_of_the_lock_has_a_hole_that_was_mended_before():
    pins = lock.pins(lock.RUN.read_text()) | lock.pins(lock.BUILD.read_text())

    assert {name for name in MENDED if name not in pins} == set()
    assert {name: why for name, (version, why) in MENDED.items() if Version(pins[name]) < Version(version)} == {}


def test_whatever_installs_a_release_asks_for_every_hash():
    for path in ("packaging/Containerfile", "docs/install.md"):
        lines = [line for line in (ROOT / path).read_text().splitlines() if "/pip install" in line]
        assert lines
        for line in lines:
            assert "--require-hashes" in line or re.search(r"--no-deps .*--no-build-isolation \.$", line), line


def test_nothing_of_the_tree_names_a_place_that_packages_come_from():
    named = re.compile(r"(?i)(--index-url|--extra-index-url|--find-links|PIP_INDEX|git\+https|pypi\.org/simple)")
    files = [*(ROOT / "packaging").rglob("*"), *(ROOT / "scripts").glob("*"), ROOT / "Makefile", ROOT / "setup.cfg"]

    for path in (path for path in files if path.is_file() and path.suffix != ".pyc"):
        assert not named.findall(path.read_text()), path
