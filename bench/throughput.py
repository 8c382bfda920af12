"""How many tunnel mails a second: by size, connections at once and recipients, with one intake process and with two.

    python -m bench.throughput [--quick]

Beside it, in turns behind the same Postfix, with the same mails and a notice for each recipient: Postfix that throws
them away, Dovecot by LMTP, and a pipe(8) filter around openssl. And what the parts alone can do: the disk, putting
files away as durably, and libcrypto on all cores, opening the same mails.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from demo.postfix import PrivatePostfix
from tests.milter_fixtures import SENDER, TUNNEL, Site, pair, running

from .libcrypto import Libcrypto
from .load import KB, MB, Job, folder, median_ratio, original, rate, send_jobs
from .rivals import dovecot, openssl_filter

BIN = "discard.test"
NOTICE = b"Subject: You have new mail\r\n\r\n" + b"x" * 70 * 40 + b"\r\n"
DISCARDING = "Postfix discards"
#: Seconds until the queue must be empty: a rival may take what is large slowly.
PATIENCE = 900.0


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    size: int
    connections: int
    recipients: int
    mails: int
    rounds: int = 3

    def __str__(self) -> str:
        size = f"{self.size // MB} MB" if self.size >= MB else f"{self.size // KB} KB"
        return f"{size}, {self.connections} at once, {self.recipients} recipient{'s'[: self.recipients > 1]}"


FIRST = (
    Case(10 * KB, 1, 1, 60),
    Case(10 * KB, 10, 1, 120),
    Case(10 * KB, 50, 1, 200),
    Case(10 * KB, 10, 10, 30),
    Case(10 * KB, 10, 100, 10),
    Case(MB, 1, 1, 10),
    Case(MB, 10, 1, 30),
)
REST = (
    Case(MB, 50, 1, 60),
    Case(MB, 10, 10, 10),
    Case(MB, 10, 100, 4, rounds=1),
    Case(25 * MB, 1, 1, 3, rounds=1),
    Case(25 * MB, 10, 1, 10, rounds=1),
    Case(25 * MB, 50, 1, 50, rounds=1),
    Case(25 * MB, 10, 10, 4, rounds=1),
    Case(25 * MB, 4, 100, 1, rounds=1),
)


@dataclass
class Contender:
    name: str
    #: In turns, where there are several.
    ports: tuple[int, ...]
    #: The domain its recipients are in; "" for the one address of the tunnel.
    domain: str = ""
    rates: list[float] = field(default_factory=list)
    put_off: int = 0

    def jobs(self, mails: list[bytes], recipients: int, notices: int) -> Iterator[Job]:
        """Each mail, and for who makes no notices, those that would have to be sent, to the port *notices*."""
        for number, raw in enumerate(mails):
            port = self.ports[number % len(self.ports)]
            if not self.domain:
                yield port, raw, (TUNNEL,)
                continue
            yield port, raw, tuple(f"person{at}@{self.domain}" for at in range(recipients))
            yield from [(notices, NOTICE, (f"x@{BIN}",))] * recipients


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure how much tunnel mail is taken in.")
    parser.add_argument("--quick", action="store_true", help="a first look: no 25 MB, fewer runs")
    quick = parser.parse_args(arguments).quick
    with folder() as home, contenders(home) as (postfix, site, runners):
        print("\nMails a second; in brackets against Postfix that discards the same mails\n")
        print(f"{'':36}" + "".join(f"{one.name:>21}" for one in runners) + f"{'disk alone':>12}{'libcrypto':>11}")
        for case in FIRST if quick else (*FIRST, *REST):
            line(postfix, site, runners, case, home, 1 if quick else case.rounds)
    return 0


@contextlib.contextmanager
def contenders(home: Path) -> Iterator[tuple[PrivatePostfix, Site, list[Contender]]]:
    """One Postfix; a site with one intake process, a site with two; the rivals and the bin."""
    with contextlib.ExitStack() as stack:
        lmtp = stack.enter_context(dovecot(home / "dovecot"))
        service = openssl_filter(home / "openssl")
        sockets = {name: home / where / "run" / "milter.sock" for name, where in (("one", "one"), ("a", "two"))}
        sockets["b"] = sockets["a"].with_name("second.sock")
        postfix = stack.enter_context(
            PrivatePostfix(
                home / "postfix",
                more_ports={name: f"unix:{socket}" for name, socket in sockets.items()},
                services=service,
                main_cf={"transport_maps": f"inline:{{lmtp.test=lmtp:unix:{lmtp}, openssl.test=openssl:}}"},
                processes=70,
            )
        )
        sites = [
            Site(home / name, sendmail=postfix.sendmail, intake={"size_limit": str(64 * MB)}) for name in ("one", "two")
        ]
        for site in sites:
            site.settings.write_text(site.settings.read_text() + f'smtp = "127.0.0.1:{postfix.plain_port}"\n')
            stack.enter_context(running(site))
        stack.enter_context(running(sites[1], "--socket", str(sockets["b"])))
        plain = (postfix.plain_port,)
        yield (
            postfix,
            sites[0],
            [
                Contender(DISCARDING, plain, BIN),
                Contender("messenger", (postfix.ports["one"],)),
                Contender("two processes", (postfix.ports["a"], postfix.ports["b"])),
                Contender("Dovecot LMTP", plain, "lmtp.test"),
                Contender("pipe + openssl", plain, "openssl.test"),
            ],
        )


def line(postfix: PrivatePostfix, site: Site, runners: list[Contender], case: Case, home: Path, rounds: int) -> None:
    """Let all run in turn and print their line."""
    for runner in runners:
        runner.rates.clear()
        runner.put_off = 0
    disk, crypto = [], []
    for number in range(rounds + 1):
        mails = tunnel_mails(site, case, case.mails if number else min(case.mails, 5))
        for runner in runners:
            found = run(postfix, runner, mails, case)
            if number:  # before that daemons start and mailboxes are made
                runner.rates.append(found)
        if number:
            disk.append(files_a_second(home / "disk", mails, case))
            crypto.append(opened_a_second(mails[:10]))
    figures = "".join(
        f"{f'{statistics.median(one.rates):.1f} ({median_ratio(one.rates, runners[0].rates):.2f})':>21}"
        for one in runners
    )
    alone = f"{statistics.median(disk):12.0f}{statistics.median(crypto):11.0f}"
    put_off = ", ".join(f"{one.name} put off {one.put_off}" for one in runners if one.put_off)
    print(f"{case!s:36}{figures}{alone}   {put_off}", flush=True)


def run(postfix: PrivatePostfix, runner: Contender, mails: list[bytes], case: Case) -> float:
    """Mails a second, until the last notice is gone too."""

    def send() -> None:
        runner.put_off += send_jobs(
            runner.jobs(mails, case.recipients, postfix.plain_port), min(case.connections, len(mails))
        )

    return rate(postfix, send, len(mails), PATIENCE)


def tunnel_mails(site: Site, case: Case, count: int) -> list[bytes]:
    inner = int(case.size / 1.4)  # base64 around the encrypted content
    to = [f"person{at}@partner.example" for at in range(case.recipients)]
    return [site.tunnel_mail(original(inner, number), to) for number in range(count)]


def files_a_second(home: Path, mails: list[bytes], case: Case) -> float:
    """How many such mails could be put away: a file for each recipient, synced, then its folder."""
    home.mkdir(exist_ok=True)
    directory = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    waiting = [raw for raw in mails for _ in range(case.recipients)]
    inner = int(case.size / 1.4)

    def client() -> None:
        while True:
            try:
                raw = waiting.pop()
            except IndexError:
                return
            path = home / f"{time.monotonic_ns()}-{threading.get_ident()}"
            with path.open("wb") as file:
                file.write(raw[:inner])
                file.flush()
                os.fsync(file.fileno())
            os.fsync(directory)
            path.unlink()

    threads = [threading.Thread(target=client) for _ in range(case.connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - began
    os.close(directory)
    return len(mails) / taken


def opened_a_second(mails: list[bytes]) -> float:
    """How many libcrypto could open and verify if it had all cores to itself."""
    certificate, key = pair("recipient", TUNNEL)
    recipient = certificate.public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    library = Libcrypto(recipient, private, pair("sender", SENDER)[0].public_bytes(Encoding.PEM))
    began = time.process_time()
    for raw in mails:
        library.open(raw)
    return len(mails) / (time.process_time() - began) * (os.cpu_count() or 1)


if __name__ == "__main__":
    raise SystemExit(main())
