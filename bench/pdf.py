"""What encrypted PDFs cost: against plain WeasyPrint, by the minute with one worker and two, and at the intake.

python -m bench.pdf [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import weasyprint  # type: ignore[import-untyped]

from demo import mails
from demo.postfix import PrivatePostfix
from messenger import message, pdf_password
from messenger.pdf_job import PdfJob
from messenger.pdf_spool import Spool
from messenger_pdfotp.make import Wishes, make
from messenger_pdfotp.page import Contents, paper
from messenger_pdfotp.renderer import Renderer
from tests.milter_fixtures import TUNNEL, Site, running
from tests.pdf_fixtures import ADDRESS, SITE, job, mail

from .load import KB, folder, median_ratio, original, rate, send_all, verdict

#: Our whole way from a mail to an encrypted PDF, against WeasyPrint alone on the page that we make of it.
COST = 1.3
#: An otp-pdf mail against an ordinary one with its notice: the rate at least, the CPU of milter and Postfix at most.
INTAKE = 1.0
CONCURRENCY = 10
MAILS = {
    "text": mails.plain(datetime.now(UTC)),
    "HTML and a picture": mails.with_pictures(datetime.now(UTC)),
    "twenty pages": mail("Dear Anna,\n" + ("The board met at nine. " * 30 + "\n\n") * 110),
}
TICKS = os.sysconf("SC_CLK_TCK")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure what encrypted PDFs cost.")
    parser.add_argument("--quick", action="store_true", help="a first look: fewer runs")
    quick = parser.parse_args(arguments).quick
    warnings.simplefilter("ignore")
    held = [cost(8 if quick else 25), workers(12 if quick else 40), intake(6 if quick else 16)]
    return 0 if all(held) else 1


def cost(rounds: int) -> bool:
    """CPU of a PDF, ours and plain WeasyPrint's, in turn."""
    held = True
    print(f"\n{'CPU of a PDF, ms':24}{'WeasyPrint':>12}{'ours':>8}{'ratio':>8}")
    renderer = Renderer()
    try:
        for name, raw in MAILS.items():
            plain, ours = [], []
            make(_other(raw, 0), SITE, "x", renderer, Wishes())
            _plainly(_page(_other(raw, 0)))
            for number in range(1, rounds + 1):
                # Another text for each: WeasyPrint is twice as fast at a page whose letters it has counted before.
                one, other = _other(raw, 2 * number), _other(raw, 2 * number + 1)
                page = _page(one)
                plain.append(_cpu_of(lambda page=page: _plainly(page)))
                ours.append(_cpu_of(lambda other=other: make(other, SITE, "x", renderer, Wishes()), renderer))
            # Of sums: a single time of another process comes in hundredths of a second.
            ratio = sum(ours) / sum(plain)
            held = held and ratio <= COST
            words = f"{sum(plain) / rounds * 1000:12.0f}{sum(ours) / rounds * 1000:8.0f}{ratio:8.2f}"
            print(f"{name:24}{words}  {verdict(ratio <= COST)}", flush=True)
    finally:
        renderer.close()
    return held


def _other(raw: bytes, number: int) -> PdfJob:
    """The mail with a line of its own, of letters that no other has."""
    letters = "".join(chr(0x100 + (number * 7 + n) % 90) for n in range(number % 40 + 3))
    return job(raw.replace(b"Dear Anna", f"Dear Anna {letters}".encode(), 1))


def _page(one: PdfJob):  # type: ignore[no-untyped-def]
    mail = message.read(one.raw)
    listed = tuple(part for part in mail.attachments if not part.inline)
    return paper(Contents(mail, message.printed(one.raw), listed, True), one, SITE)


def _plainly(page) -> None:  # type: ignore[no-untyped-def]
    """The same page: without the hints, what mail says by ``border`` and ``width`` would be missing from it."""
    sheet = weasyprint.CSS(string=page.css)
    weasyprint.HTML(string=page.html).write_pdf(
        stylesheets=[sheet], pdf_tags=True, pdf_variant="pdf/ua-1", presentational_hints=True
    )


def _cpu_of(work, renderer: Renderer | None = None) -> float:  # type: ignore[no-untyped-def]
    before = time.process_time() + _cpu(renderer)
    work()
    return time.process_time() + _cpu(renderer) - before


def _cpu(renderer: Renderer | None) -> float:
    """Seconds of the renderer's process and of the children it has waited for."""
    return 0.0 if renderer is None or renderer._child is None else _seconds(renderer._child.process.pid)


def _seconds(pid: int) -> float:
    """CPU of one process and of the children it has waited for (proc(5), stat); 0 if it has ended meanwhile."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def workers(count: int) -> bool:
    """PDFs a minute, with one worker and with two on the same spool."""
    print(f"\n{'workers':10}{'PDFs a minute':>15}{'peak memory of each, MB':>26}")
    raw = mails.with_pictures(datetime.now(UTC))
    rates = {}
    for number in (1, 2):
        with folder() as home:
            site = Site(home / "portal", sendmail=("/bin/true",))
            (site.home / "keys" / "pdf.key").write_text("11" * 32 + "\n")
            spool = Spool(site.home / "pdf")
            spool.prepare()
            with _running(site, number) as processes:
                for n in range(count):
                    digest = f"{n:064x}"
                    pdf_id = pdf_password.id_of(digest, ADDRESS)
                    spool.put(replace(job(raw), digest=digest, pdf_id=pdf_id))
                begun = time.monotonic()
                while len(os.listdir(spool.root / "done")) < count:  # noqa: PTH208
                    time.sleep(0.02)
                rates[number] = 60 * count / (time.monotonic() - begun)
                peak = max(sum(_peak(pid) for pid in _family(process.pid)) for process in processes)
            print(f"{number:<10}{rates[number]:15.0f}{peak:26.0f}")
    return True


@contextmanager
def _running(site: Site, number: int):  # type: ignore[no-untyped-def]
    with ExitStack() as stack:
        processes = []
        for _ in range(number):
            process = subprocess.Popen(
                [sys.executable, "-m", "messenger_pdfotp.service", "--config", str(site.settings)],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.communicate)
            stack.callback(process.terminate)
            assert process.stderr is not None
            process.stderr.readline()  # "making PDFs of what comes into ..."
            processes.append(process)
        time.sleep(3)  # WeasyPrint is loaded meanwhile
        yield processes


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []  # it has ended meanwhile, and its parent has its time
    return [pid, *(one for child in children for one in _family(int(child)))]


def _peak(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def intake(rounds: int) -> bool:
    """CPU and rate of mails that become PDFs, against ordinary ones with a notice each."""
    rates: dict[str, list[float]] = {"ordinary": [], "otp-pdf": []}
    cpu: dict[str, list[float]] = {name: [] for name in rates}
    with folder() as home, ExitStack() as stack:
        socket = home / "portal" / "run" / "milter.sock"
        postfix = stack.enter_context(PrivatePostfix(home / "postfix", milters=f"unix:{socket}"))
        site = Site(home / "portal", sendmail=postfix.sendmail)
        site.settings.write_text(site.settings.read_text() + f'smtp = "127.0.0.1:{postfix.plain_port}"\n')
        milter = stack.enter_context(running(site)).popen.pid
        assert postfix._master is not None
        for n in range(-1, rounds):  # the first makes mailboxes, and counts for nothing
            for name in list(rates)[:: 1 if n % 2 else -1]:
                batch = _batch(site, name, n)
                before = _together(milter, postfix._master.pid)
                found = rate(postfix, lambda batch=batch: send_all(postfix.port, batch, CONCURRENCY), len(batch))
                if n >= 0:
                    rates[name].append(found)
                    cpu[name].append((_together(milter, postfix._master.pid) - before) / len(batch))
    ratio = sum(cpu["otp-pdf"]) / sum(cpu["ordinary"])
    print(f"\n{'intake of 10 KB, 10 at a time':36}{'mails/s':>8}{'CPU of milter and Postfix, ms':>32}")
    for name, found_rates in rates.items():
        print(f"{name:36}{statistics.median(found_rates):8.0f}{statistics.mean(cpu[name]) * 1000:32.2f}")
    speed = median_ratio(rates["otp-pdf"], rates["ordinary"])
    print(f" {speed:.2f} of the rate of ordinary mails with a notice, at least {INTAKE}: {verdict(speed >= INTAKE)}")
    print(f" {ratio:.2f} of their CPU, at most {INTAKE}: {verdict(ratio <= INTAKE)}")
    return ratio <= INTAKE <= speed


def _batch(site: Site, name: str, number: int) -> list[tuple[bytes, str]]:
    options = () if name == "ordinary" else (name,)
    return [
        (site.tunnel_mail(original(7 * KB, 1000 * number + i), [f"r{i % 50}@example.org"], options=options), TUNNEL)
        for i in range(100)
    ]


def _together(*pids: int) -> float:
    return sum(_seconds(one) for pid in pids for one in _family(pid))


if __name__ == "__main__":
    raise SystemExit(main())
