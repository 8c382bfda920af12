"""When something goes wrong: a page that says what to do, and one log line that says what happened.

The page never tells about our insides, and the log never holds what a person wrote. It names a mailbox only where its
folder can't be used, because somebody has to mend that folder.
"""

import logging
import traceback
from pathlib import Path

from flask import Flask, Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException

import messenger
from messenger.errors import MessengerError

from .access import this_page
from .language import gettext as _

log = logging.getLogger(__name__)

OURS = (Path(__file__).parent, Path(messenger.__file__).parent)


def install(app: Flask) -> None:
    app.register_error_handler(HTTPException, _refusal)
    app.register_error_handler(MessengerError, _trouble)
    app.register_error_handler(Exception, _surprise)


def page(status: int) -> Response:
    """The page for *status*, in the look of the site; in plain words where not even that works."""
    heading, advice = _words(status)
    try:
        again = this_page() if request.method == "GET" and (status == 429 or status >= 500) else None
        words = {"heading": heading, "advice": advice, "again": again, "ask": status >= 500}
        return make_response(render_template("error.html", **words), status)
    except Exception as error:
        log.error("error page %d: %s at %s", status, type(error).__name__, _places(error))
        return Response(f"{heading}. {advice}\n", status, content_type="text/plain; charset=utf-8")


def _words(status: int) -> tuple[str, str]:
    again = _("Please go back and try again.")
    words = {
        400: (
            _("This address doesn’t work here"),
            _("Your browser asked in a way we don’t understand. Please type the portal’s address by hand."),
        ),
        403: (
            _("That didn’t come from our page"),
            _("For your safety only forms of this very site are accepted. Please open your inbox and try again."),
        ),
        404: (
            _("There is no such page"),
            _("Perhaps the address is mistyped, or the message was deleted. Your inbox shows what is there."),
        ),
        405: (_("This page can’t be used that way"), _("Please open your inbox and go on from there.")),
        413: (
            _("That was too much at once"),
            _(
                "What you sent is larger than we accept. Please go back in your browser, where your text usually still "
                "stands, and send less."
            ),
        ),
        429: (_("Too many tries"), _("Please wait a few minutes and try again.")),
        503: (
            _("This doesn’t work right now"),
            _("Your messages are safe. Please try again in a few minutes."),
        ),
    }
    if status in words:
        return words[status]
    if status < 500:
        return _("That didn’t work"), again
    return (
        _("Something went wrong on our side"),
        _("Your messages are safe. Please try again; if it happens again, tell whoever runs this site."),
    )


def _refusal(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:  # a redirect that is raised, not returned
        return error.get_response()  # type: ignore[return-value]
    answer = page(status)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            answer.headers[name] = value
    return answer


def _trouble(error: MessengerError) -> Response:
    log.error("%s %s: %s: %s", request.method, request.endpoint, type(error).__name__, error)
    answer = page(503 if error.temporary else 500)
    if error.temporary:
        answer.headers["Retry-After"] = "60"
    return answer


def _surprise(error: Exception) -> Response:
    # The kind and the place: what str(error) holds may be somebody's mail.
    log.error("%s %s: %s at %s", request.method, request.endpoint, type(error).__name__, _places(error))
    return page(500)


def _places(error: Exception) -> str:
    return " > ".join(
        f"{Path(frame.filename).name}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if any(Path(frame.filename).is_relative_to(folder) for folder in OURS)
    )
