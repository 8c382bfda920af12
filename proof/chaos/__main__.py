"""``make chaos``: run it, print what was done and what was checked, and fail where something did not hold."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from demo.postfix import PostfixMissing

from .run import Report, run

EX_UNAVAILABLE = 69  # sysexits(3)
SHOWN = 10


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", default=600.0, show_default=True, help="How long mail comes and things fail.")
@click.option("--seed", type=int, help="What the plan is made of; else one of the clock's.")
@click.option("--rate", default=4.0, show_default=True, help="Mails a second.")
@click.option("--every", default=2.0, show_default=True, help="Seconds from one fault to the next, on average.")
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for the logs.")
def main(seconds: float, seed: int | None, rate: float, every: float, keep: Path | None) -> None:
    """Break the system while mail comes in, then look at every file.

    Example: python -m proof.chaos --seconds 60 --seed 7
    """
    try:
        report = run(int(time.time()) if seed is None else seed, seconds, rate, every, click.echo, keep=keep)
    except PostfixMissing as error:
        click.echo(f"chaos: {error}", err=True)
        sys.exit(EX_UNAVAILABLE)
    show(report)
    sys.exit(0 if report.held else 1)


def show(report: Report) -> None:
    click.echo(f"\nseed {report.seed}, {report.seconds:.0f} s in all")
    for title, counted in (
        ("mails", {"offered": report.mails, "copies in mailboxes": report.copies}),
        ("answers", report.answers),
        ("faults", report.faults),
        ("pages", report.pages),
        ("answers by people", report.answered),
        ("mails that left, by how often", report.notices),
    ):
        click.echo(f"{title}: " + ", ".join(f"{name} {count}" for name, count in sorted(counted.items(), key=str)))
    click.echo()
    for name, wrong in report.checks.items():
        click.echo(f"{'FAIL' if wrong else 'ok  '}  {name}" + (f" ({len(wrong)})" if wrong else ""))
        for line in wrong[:SHOWN]:
            click.echo(f"        {line}")


if __name__ == "__main__":
    main()
