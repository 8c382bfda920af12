"""Make one PDF of a mail by hand: what `messenger pdf make` runs. Sends nothing, keeps nothing."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from messenger import config as settings
from messenger import pdf_password
from messenger.envelope import normal
from messenger.errors import MessengerError
from messenger.pdf_job import PdfJob

from .cover import cover as cover_mail
from .make import Made, make
from .renderer import Renderer
from .service import bench_of, quiet

#: So that a password needn't stand on a command line.
VARIABLE = "MESSENGER_PDF_PASSWORD"
EX_DATAERR, EX_CANTCREAT = 65, 73


@click.command()
@click.argument("file")
@click.option("--config", "path", type=click.Path(path_type=Path), required=True, help="Settings file.")
@click.option("--to", "address", required=True, help="The recipient.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option("--cover", is_flag=True, help="Write the mail around the PDF instead.")
def main(file: str, path: Path, address: str, out: Path, cover: bool) -> None:
    """Make an encrypted PDF of the mail FILE. The password is what the environment says, or is derived and printed."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    quiet()
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        content, password = _made(settings.load(path), raw, normal(address), cover)
        with out.open("xb") as target:
            target.write(content)
    except MessengerError as error:
        click.echo(f"messenger: {error}", err=True)
        sys.exit(EX_DATAERR)
    except FileExistsError:
        click.echo(f"messenger: {out}: is there already; name another file, or move it away", err=True)
        sys.exit(EX_CANTCREAT)
    except OSError as error:
        click.echo(f"messenger: {error.filename or out}: {error.strerror}; check the name", err=True)
        sys.exit(EX_CANTCREAT)
    if not os.environ.get(VARIABLE):
        click.echo(password)


def _made(config: settings.Config, raw: bytes, address: str, cover: bool) -> tuple[bytes, str]:
    digest = hashlib.sha256(raw).hexdigest()
    now = int(time.time())
    pdf_id = pdf_password.id_of(digest, address)
    page = f"{config.site.portal_url}/pdfs/{pdf_id}"
    job = PdfJob(pdf_id, address, digest, 0, now, page, f"{page}/answer", "", "", "", raw)
    renderer = Renderer()
    renderer.start()
    try:
        bench = bench_of(config, renderer)
        password = os.environ.get(VARIABLE) or pdf_password.password(bench.key, address, 0, pdf_id, bench.symbols)
        sign = bench.signer.sign_pdf if bench.signer else None
        made: Made = make(job, bench.site, password, renderer, bench.wishes, sign)
    finally:
        renderer.close()
    if not cover:
        return made.content, password
    moment = datetime.fromtimestamp(now, UTC)
    mail = cover_mail(job, made.content, bench.site, moment, files_waiting=made.files_waiting, signer=bench.signer)
    return mail, password


if __name__ == "__main__":
    main()
