"""Test what messenger-pdfotp leans on before work comes: each problem is a sentence that says how to mend it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from messenger import letterhead, pdf_password
from messenger.config import Config
from messenger.errors import MessengerError
from messenger.letterhead import Site
from messenger.pdf_spool import Spool

from . import cover, signing
from .renderer import Renderer


def problems(config: Config) -> list[str]:
    """Everything wrong at once, so that mending takes one round."""
    return [text for check in _checks(config) for text in _failure(check)]


def renderer() -> list[str]:
    """What is wrong with the process that lays PDFs out; also what the kernel can't keep from it."""
    made = Renderer()
    try:
        return list(made.render("<html lang='en'><title>-</title><p>-</p>", "", "00").unconfined)
    except MessengerError as error:
        return [f"no PDF can be made: {error}; install libpango-1.0-0, libpangoft2-1.0-0 and libharfbuzz-subset0"]
    finally:
        made.close()


def _checks(config: Config) -> Iterator[Callable[[], object]]:
    pdf = config.pdf
    yield lambda: pdf_password.load_key(pdf.key)
    yield Spool(pdf.spool).check
    if pdf.sign_certificate and pdf.sign_key:
        yield lambda: signing.load(pdf.sign_certificate, pdf.sign_key)  # type: ignore[arg-type]
    yield lambda: cover.check_templates(site_of(config))
    if not config.notice.smtp:
        yield lambda: _check_sendmail(config.notice.sendmail[0])


def site_of(config: Config) -> Site:
    """What PDFs and their mails say about this site."""
    return letterhead.site_of(config.site, config.notice)


def _failure(check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except MessengerError as error:
        yield str(error)


class _Wrong(MessengerError):
    pass


def _check_sendmail(command: str) -> None:
    if not os.access(command, os.X_OK):
        raise _Wrong(f"{command}, which sends the PDFs, is missing: install Postfix, or name another [notice] sendmail")
