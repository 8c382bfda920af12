"""Do one file of the spool: make its PDF, send it, and say what became of it.

Whatever happens, the file ends as done, as waiting for another try, or as given up with a reason; the mail in it is
never lost. Takes the clock and the way mail leaves as arguments; knows no settings file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

from messenger import pdf_password
from messenger.envelope import AddressError, normal
from messenger.errors import MessengerError
from messenger.letterhead import Site, for_person
from messenger.pdf_job import BadJob, PdfJob
from messenger.pdf_password import PdfPasswordError
from messenger.pdf_spool import Claim

from .cover import cover
from .make import Made, Wishes, make
from .renderer import Renderer
from .signing import Signer

log = logging.getLogger(__name__)

#: After the first failure so many seconds, then twice as many, and so on.
FIRST_WAIT, LONGEST_WAIT = 30, 3600


@dataclass(frozen=True)
class Bench:
    """What a worker works with; ``service.py`` lays it out from the settings."""

    site: Site
    key: bytes
    symbols: int
    wishes: Wishes
    tries: int
    renderer: Renderer
    #: Hands a mail to Postfix's queue, for one recipient; raises MessengerError.
    submit: Callable[[bytes, str], None]
    #: Tells the administrator that a file was given up: its id and the reason.
    tell: Callable[[str, str], None]
    signer: Signer | None = None
    #: Hears what became of each try: sent, later, given-up; and is held while a PDF is made and sent.
    count: Callable[[str], None] = lambda _: None
    timed: Callable[[], AbstractContextManager[object]] = nullcontext


def work(claim: Claim, bench: Bench, now: int) -> bool:
    """Make and send the PDF of one file; True when it is done. *now* is Unix seconds."""
    number = claim.begin()
    if number > bench.tries:
        # The last try killed the process: whoever tries again and again makes no other PDF either.
        _give_up(claim, bench, claim.tries.reason or "the process ended in the middle of each try")
        return False
    try:
        job = _checked(claim)
        with bench.timed():
            made = send(job, bench, now)
    except BadJob as error:
        _give_up(claim, bench, str(error))
        return False
    except MessengerError as error:
        return _failed(claim, bench, now, str(error), counts=not error.temporary)
    except Exception as error:  # a fault of ours must not stop the mails behind it
        log.exception("%s: not made", claim.pdf_id)
        return _failed(claim, bench, now, f"{type(error).__name__}: {error}", counts=True)
    claim.done()
    bench.count("sent")
    log.info(
        "%s: sent: digest=%.16s pages=%d size=%d try=%d%s%s",
        job.pdf_id,
        job.digest,
        made.pages,
        len(made.content),
        number,
        f" laid-out={made.fallback}" if made.fallback else "",
        " files=portal" if made.files_waiting else "",
    )
    return True


def send(job: PdfJob, bench: Bench, now: int) -> Made:
    """Make the PDF and hand its mail to Postfix."""
    site = for_person(bench.site, job.language, job.time_zone)
    password = pdf_password.password(bench.key, job.address, job.generation, job.pdf_id, bench.symbols)
    sign = bench.signer.sign_pdf if bench.signer else None
    made = make(job, site, password, bench.renderer, bench.wishes, sign)
    moment = datetime.fromtimestamp(now, UTC)
    mail = cover(job, made.content, site, moment, files_waiting=made.files_waiting, signer=bench.signer)
    bench.submit(mail, job.address)
    return made


def _checked(claim: Claim) -> PdfJob:
    """The job, if it is the one its file's name says it is."""
    job = claim.job()
    try:
        if job.address != normal(job.address) or job.pdf_id != pdf_password.id_of(job.digest, job.address):
            raise BadJob("expected a file named by the digest and the recipient in it, found another name")
    except (AddressError, PdfPasswordError) as error:
        raise BadJob(str(error)) from error
    return job


def _failed(claim: Claim, bench: Bench, now: int, reason: str, counts: bool) -> bool:
    reason = " ".join(reason.split())[:500]
    if counts and claim.tries.count >= bench.tries:
        _give_up(claim, bench, reason)
        return False
    wait = min(FIRST_WAIT * 2 ** min(claim.tries.waits, 20), LONGEST_WAIT)
    claim.later(reason, now + wait, counts)
    bench.count("later")
    log.warning("%s: again in %d s: %s", claim.pdf_id, wait, reason)
    return False


def _give_up(claim: Claim, bench: Bench, reason: str) -> None:
    claim.fail(reason)
    bench.count("given-up")
    log.error("%s: given up after %d tries: %s", claim.pdf_id, claim.tries.count, reason)
    try:
        bench.tell(claim.pdf_id, reason)
    except MessengerError as error:
        log.error("%s: the administrator could not be told: %s", claim.pdf_id, error)
