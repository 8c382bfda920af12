"""Help for those who get mail here: what this is, whether a notice is genuine, what to do."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from .context import context

pages = Blueprint("help", __name__)


@pages.get("/help")
def page() -> ResponseReturnValue:
    config = context().config
    return render_template(
        "help.html",
        portal=config.site.portal_url,
        notice_from=config.notice.mail_from,
        idle_minutes=config.accounts.idle_minutes,
        link_days=config.notice.link_days,
        second_step=config.accounts.require_totp != "never",
        answers=config.reply.enabled,
        trash_days=config.mail.trash_days,
        retention_days=config.mail.retention_days,
        audit_days=config.accounts.audit_days,
        receipts=config.reader.read_receipts,
    )
