"""The pages of a message's attachments: save one."""

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

from messenger import message
from messenger.message import NoSuchPart

from .downloads import save_as
from .opened import audit, raw_of

pages = Blueprint("files", __name__)


@pages.get("/message/<name>/attachment/<number>")
def attachment(name: str, number: str) -> ResponseReturnValue:
    try:
        part, content = message.part(raw_of(name), number)
    except NoSuchPart:
        abort(404)
    audit("download", name, f"part {number}")
    return save_as(part.filename, part.content_type, content)
