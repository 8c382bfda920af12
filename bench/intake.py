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
BASELINE = "Postfix discards them"
BASELINE_NOTICES = "Postfix discards them and as many notices"


@dataclass
class Contender:
    name: str
    port: int
    rcpt_to: str
    #: What a small mail beside each large one stands for.
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
                Contender(BASELINE, postfix.plain_port, "x@discard.test"),
                Contender(BASELINE_NOTICES, postfix.plain_port, "x@discard.test", notices=True),
                Contender("messenger, without notices", postfix.ports["alone"], TUNNEL),
                Contender("messenger, notices by SMTP", postfix.port, TUNNEL),
                Contender("messenger, notices by sendmail", postfix.ports["sendmail"], TUNNEL),
                Contender("Postfix + Dovecot LMTP", postfix.plain_port, "x@lmtp.test"),
                Contender("pipe(8) + openssl cms", postfix.plain_port, "x@openssl.test"),
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
    by_name = {runner.name: runner for runner in runners}
    print(f"\nIntake of tunnel mails of {name}, {CONCURRENCY} at a time\n")
    print(f"{'':<44}{'mails/s':>9}{'of discarding':>15}{'of discarding + notices':>25}")
    for runner in runners:
        ratios = [median_ratio(runner.rates, by_name[one].rates) for one in (BASELINE, BASELINE_NOTICES)]
        print(f"{runner.name:<44}{statistics.median(runner.rates):9.0f}{ratios[0]:15.2f}{ratios[1]:25.2f}", flush=True)
    alone = median_ratio(by_name["messenger, without notices"].rates, by_name[BASELINE].rates)
    with_notices = median_ratio(by_name["messenger, notices by SMTP"].rates, by_name[BASELINE_NOTICES].rates)
    print(f"\nat least {TARGET} of discarding: {alone:.2f}, {verdict(alone >= TARGET)}")
    print(
        f"at least {TARGET} of discarding, notices on both sides: {with_notices:.2f}, {verdict(with_notices >= TARGET)}"
    )
    ahead = True
    for rival in ("Postfix + Dovecot LMTP", "pipe(8) + openssl cms"):
        ratio = median_ratio(by_name["messenger, notices by SMTP"].rates, by_name[rival].rates)
        ahead = ahead and ratio > 1
        print(f"ahead of {rival}, which sends no notices: {ratio:.2f}, {verdict(ratio > 1)}")
    return alone >= TARGET and ahead


def run(postfix: PrivatePostfix, runner: Contender, mails: list[bytes]) -> float:
    notice = b"Subject: You have new mail\r\n\r\n" + b"x" * 70 * 40 + b"\r\n"

    def send() -> None:
        if runner.notices:
            mails_and_notices = [mail for pair in zip(mails, [notice] * len(mails), strict=True) for mail in pair]
            send_all(runner.port, mails_and_notices, runner.rcpt_to, CONCURRENCY)
        else:
            send_all(runner.port, mails, runner.rcpt_to, CONCURRENCY)

    return rate(postfix, send, len(mails))


if __name__ == "__main__":
    raise SystemExit(main())
