"""How fast tunnel mail is taken in, against Postfix that throws it away and against what else a site could run.

    python -m bench.intake [--quick]

All contenders stand behind one Postfix and get mails of one kind, ten at a time, in turn. The clock stops when the
queue is empty: what a contender leaves for later counts too. Ratios of neighbouring runs hold on a busy machine.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from demo.postfix import PrivatePostfix
from tests.milter_fixtures import TUNNEL, Site, running

from .load import KB, MB, folder, median_ratio, rate, send_all, tunnel_mails, verdict
from .rivals import dovecot, openssl_filter

CONCURRENCY = 10
#: At least this share of the rate at which Postfix discards the same mails.
TARGET = 0.6
SIZES = {"10 KB": (10 * KB, 120), "1 MB": (MB, 30), "10 MB": (10 * MB, 6)}
ROUNDS = 7
#: Delivery alone: what the notices cost is the difference.
NO_NOTICES = "import messenger_milter.announce as a\na.Announcer.announce = lambda *_: None"
BIN = "x@discard.test"
BASELINE, OURS, LMTP, PIPE = "Postfix discards", "messenger", "Postfix + Dovecot LMTP", "pipe(8) + openssl cms"
#: By SMTP. Each contender's mails with a small mail beside each: what any of them would have to send.
NOTICES = ", and notices"


@dataclass
class Contender:
    name: str
    port: int
    rcpt_to: str
    #: Send the notices for it: it makes none of its own.
    notices: bool = False
    rates: list[float] = field(default_factory=list)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure the intake of tunnel mails.")
    parser.add_argument("--quick", action="store_true", help="a first look: fewer sizes and runs")
    quick = parser.parse_args(arguments).quick
    held = True
    with folder() as home, contenders(home) as (postfix, site, runners):
        for name, (size, count) in list(SIZES.items())[: 2 if quick else None]:
            held = compare(postfix, site, runners, name, size, count, 3 if quick else ROUNDS) and held
    return 0 if held else 1


@contextlib.contextmanager
def contenders(home: Path) -> Iterator[tuple[PrivatePostfix, Site, list[Contender]]]:
    """One Postfix; three milters that differ in how notices leave; two rivals and the bin."""
    with contextlib.ExitStack() as stack:
        lmtp = stack.enter_context(dovecot(home / "dovecot"))
        service = openssl_filter(home / "openssl")
        names = ("alone", "smtp", "sendmail")
        sockets = {name: home / f"portal-{name}" / "run" / "milter.sock" for name in names}
        postfix = stack.enter_context(
            PrivatePostfix(
                home / "postfix",
                milters=f"unix:{sockets['smtp']}",
                more_ports={name: f"unix:{sockets[name]}" for name in ("alone", "sendmail")},
                services=service,
                main_cf={"transport_maps": f"inline:{{lmtp.test=lmtp:unix:{lmtp}, openssl.test=openssl:}}"},
            )
        )
        sites = {
            name: Site(home / f"portal-{name}", sendmail=postfix.sendmail, intake={"size_limit": str(64 * MB)})
            for name in names
        }
        smtp = sites["smtp"].settings
        smtp.write_text(smtp.read_text() + f'smtp = "127.0.0.1:{postfix.plain_port}"\n')
        for name, site in sites.items():
            stack.enter_context(running(site, code=NO_NOTICES if name == "alone" else ""))
        yield (
            postfix,
            sites["smtp"],
            [
                Contender(BASELINE, postfix.plain_port, BIN),
                Contender(OURS, postfix.ports["alone"], TUNNEL),
                Contender(LMTP, postfix.plain_port, "x@lmtp.test"),
                Contender(PIPE, postfix.plain_port, "x@openssl.test"),
                Contender(BASELINE + NOTICES, postfix.plain_port, BIN, notices=True),
                Contender(OURS + NOTICES, postfix.port, TUNNEL),
                Contender(OURS + NOTICES + " by sendmail", postfix.ports["sendmail"], TUNNEL),
                Contender(LMTP + NOTICES, postfix.plain_port, "x@lmtp.test", notices=True),
                Contender(PIPE + NOTICES, postfix.plain_port, "x@openssl.test", notices=True),
            ],
        )


def compare(
    postfix: PrivatePostfix, site: Site, runners: list[Contender], name: str, size: int, count: int, rounds: int
) -> bool:
    """Let all run in turn and print their table; whether the targets are held."""
    for runner in runners:
        runner.rates.clear()
        run(postfix, runner, tunnel_mails(site, size, min(count, 60)))  # daemons start, mailboxes are made
    for _ in range(rounds):
        mails = tunnel_mails(site, size, count)
        for runner in runners:
            runner.rates.append(run(postfix, runner, mails))
    rates = {runner.name: runner.rates for runner in runners}
    print(f"\nIntake of tunnel mails of {name}, {CONCURRENCY} at a time\n")
    print(f"{'':<40}{'mails/s':>9}{'of discarding':>15}")
    for runner in runners:
        against = rates[BASELINE + NOTICES if NOTICES in runner.name else BASELINE]
        print(f"{runner.name:<40}{statistics.median(runner.rates):9.0f}{median_ratio(runner.rates, against):15.2f}")
    print()
    held = True
    for with_what in ("", NOTICES):
        ours = rates[OURS + with_what]
        for rival, least in ((BASELINE, TARGET), (LMTP, 1.0), (PIPE, 1.0)):
            ratio = median_ratio(ours, rates[rival + with_what])
            held = held and ratio >= least
            print(f"{ratio:5.2f} of {rival + with_what}, at least {least}: {verdict(ratio >= least)}", flush=True)
    return held


def run(postfix: PrivatePostfix, runner: Contender, mails: list[bytes]) -> float:
    """Mails a second, notices not counted."""
    notice = b"Subject: You have new mail\r\n\r\n" + b"x" * 70 * 40 + b"\r\n"
    sent = []
    for mail in mails:
        sent.append((mail, runner.rcpt_to))
        if runner.notices:
            sent.append((notice, BIN))
    return rate(postfix, lambda: send_all(runner.port, sent, CONCURRENCY), len(mails))


if __name__ == "__main__":
    raise SystemExit(main())
