"""What messenger-gateway costs mail that it lets pass: whole SMTP sessions, side by side in one run.

    python -m bench.gateway [--quick]

Rules that need envelope and header alone, against Postfix without a milter; rules that read the body, against opendkim
signing the same mails. One Postfix, a port for each, runs in turn.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from demo.postfix import PrivatePostfix
from tests.gateway_fixtures import POLICY, Gateway, running

from .load import KB, folder, median_ratio, verdict
from .session import seconds

#: At most this many times the wall time of Postfix alone.
HEADER = 1.15
#: At most this many times that of opendkim signing.
BODY = 1.5
ROUNDS = 15
SIZES = {"1 KB": (KB, 200), "10 KB": (10 * KB, 200), "100 KB": (100 * KB, 100)}
HEADER_RULES = POLICY + "".join(
    f'[[rule]]\nname = "{name}"\nresult = "mandatory"\n{lines}\n'
    for name, lines in {
        "label": 'header = { "Sensitivity" = "company-confidential", "X-Protect" = "yes" }',
        "labels of Microsoft": 'header = { "msip_labels" = "*Name=Confidential*" }',
        "partners": 'recipient = ["*.partner.example", "partner.example", "anna@elsewhere.example"]',
        "board": 'sender = ["board@example.com", "cfo@example.com"]\nsubject = ["minutes", "agenda"]',
    }.items()
)
BODY_RULES = HEADER_RULES + (
    '[[rule]]\nname = "numbers"\nresult = "mandatory"\ntext = [{ pattern = "iban" }, { pattern = "card", count = 2 }]\n'
    '[[rule]]\nname = "names of files"\nresult = "mandatory"\nattachment = ["*payroll*", "*.kdbx"]\n'
    '[[rule]]\nname = "own words"\nresult = "mandatory"\n'
    "text = [{ pattern = '/project (aurora|borealis)/' }]\n"
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure what the gateway costs mail that it lets pass.")
    parser.add_argument("--quick", action="store_true", help="a first look: fewer runs")
    quick = parser.parse_args(arguments).quick
    if shutil.which("opendkim") is None:
        print("opendkim is not installed: apt-get install opendkim")
        return 1
    with folder() as home, ExitStack() as stack:
        by_header = Gateway(home / "header", policy=HEADER_RULES)
        by_body = Gateway(home / "body", policy=BODY_RULES)
        signer = home / "opendkim.sock"
        ports = {
            "header": f"unix:{by_header.socket}",
            "body": f"unix:{by_body.socket}",
            "opendkim": f"unix:{signer}",
        }
        stack.enter_context(_opendkim(home, signer))
        stack.enter_context(running(by_header))
        stack.enter_context(running(by_body))
        postfix = stack.enter_context(PrivatePostfix(home / "postfix", more_ports=ports))
        return 0 if _measure(postfix, 7 if quick else ROUNDS) else 1


def _measure(postfix: PrivatePostfix, rounds: int) -> bool:
    names = {"Postfix": postfix.plain_port, **postfix.ports}
    print("\nMail that no rule flags: one SMTP session, milliseconds\n")
    print(f"{'size':>8}" + "".join(f"{name:>10}" for name in names) + f"{'header':>10}{'body':>8}")
    held = True
    for label, (size, count) in SIZES.items():
        measured: dict[str, list[float]] = {name: [] for name in names}
        for port in names.values():
            seconds(port, max(count // 5, 2), size)  # daemons start at the first mail
        for _ in range(rounds):
            for name, port in names.items():
                measured[name].append(seconds(port, count, size))
        header = median_ratio(measured["header"], measured["Postfix"])
        body = median_ratio(measured["body"], measured["opendkim"])
        held = held and header <= HEADER and body <= BODY
        columns = "".join(f"{statistics.median(times) * 1e3:10.2f}" for times in measured.values())
        said = f"{verdict(header <= HEADER)}, {verdict(body <= BODY)}"
        print(f"{label:>8}{columns}{header:10.2f}{body:8.2f}   {said}", flush=True)
    print(f"\n header: against Postfix, at most {HEADER}; body: against opendkim signing, at most {BODY}")
    return held


@contextmanager
def _opendkim(home: Path, socket: Path) -> Iterator[None]:
    """A private opendkim that signs for example.com with RSA 2048, as Debian's does."""
    key = home / "dkim.key"
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    settings = home / "opendkim.conf"
    settings.write_text(
        f"Mode s\nDomain example.com\nSelector test\nKeyFile {key}\nSocket local:{socket}\nUMask 000\n"
        f"Canonicalization relaxed/simple\nInternalHosts 127.0.0.1\nBackground no\n"
        f"RequireSafeKeys no\nSyslog no\nPidFile {home}/dkim.pid\n"
    )
    process = subprocess.Popen(["opendkim", "-f", "-x", str(settings)])
    try:
        deadline = time.monotonic() + 10
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("opendkim did not start")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    raise SystemExit(main())
