"""The web reader as a Flask app: settings in, pages out. Nothing is read from the environment."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from flask import Flask
from flask.typing import ResponseReturnValue
from werkzeug.middleware.proxy_fix import ProxyFix

from messenger.accounts import Accounts
from messenger.link import load_key
from messenger.passwords import Hasher
from messenger.submission import Route, submit
from messenger.totp import load_key as load_totp_key

from . import (
    access,
    act_pages,
    attachment_pages,
    checks,
    compose_pages,
    context,
    delete_pages,
    error_pages,
    factor_pages,
    help_pages,
    login_pages,
    look,
    mail_pages,
    nested_pages,
    own_mails,
    own_trust,
    password_pages,
    pdf_password_pages,
    rescue,
    reset_pages,
    search_pages,
    sessions_pages,
    settings_pages,
    signup_pages,
    thread_pages,
)
from .letters import Letters
from .post import Post, post_of
from .receipt_spool import ReceiptSpool
from .receipts import Receipts, Way

if TYPE_CHECKING:
    from messenger.config import Config

#: No form of ours is longer. A page that takes files sets a limit of its own.
FORM_BYTES = 64 * 1024
FORM_FIELDS = 50
PAGES = (
    login_pages,
    signup_pages,
    factor_pages,
    password_pages,
    pdf_password_pages,
    reset_pages,
    settings_pages,
    sessions_pages,
    delete_pages,
    mail_pages,
    act_pages,
    attachment_pages,
    nested_pages,
    search_pages,
    thread_pages,
    compose_pages,
    help_pages,
)


def create_app(config: Config, *, clock: Callable[[], float] = time.time, hasher: Hasher | None = None) -> Flask:
    """Make the app; *clock* and a cheap *hasher* are for tests. Raises a MessengerError if it can't work."""
    app = Flask(__name__)
    app.debug = False  # whatever FLASK_DEBUG says
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = FORM_BYTES
    app.config["MAX_FORM_PARTS"] = FORM_FIELDS
    accounts = Accounts(
        config.accounts.database,
        site_name=config.site.name,
        idle_minutes=config.accounts.idle_minutes,
        absolute_hours=config.accounts.absolute_hours,
        require_totp=config.accounts.require_totp,
        totp_key=load_totp_key(config.accounts.totp_key),
        hasher=hasher,
    )
    own = context.Context(config, accounts, load_key(config.notice.link_key), clock, *_ways_out(config, clock))
    context.install(app, own)
    look.install(app, config.site)
    access.install(app, config.site.portal_url, {compose_pages.POSTED: rescue.keep})
    error_pages.install(app)
    own_mails.install(app)
    own_trust.install(app)
    app.add_url_rule("/healthz", access.HEALTH, _health)
    for module in PAGES:
        app.register_blueprint(module.pages)
    if config.reader.trusted_proxies:
        count = config.reader.trusted_proxies
        # The address and the scheme alone; the host is what the Host field says, and access.py compares it.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=0, x_port=0, x_prefix=0)  # type: ignore[method-assign]
    return app


def _ways_out(config: Config, clock: Callable[[], float]) -> tuple[Letters, Post, Receipts]:
    """For mail of the site's own, for people's, and for what their senders want to know."""
    by_route = partial(submit, route=Route(sendmail=config.notice.sendmail, smtp=config.notice.smtp))
    site, post = checks.site_of(config), post_of(config, by_route)
    receipts = Receipts(
        ReceiptSpool(config.mail.root),
        Way(site, by_route, post.sender),
        clock,
        enabled=config.reader.read_receipts,
    )
    return Letters(site, config.mail.root, clock, by_route), post, receipts


def _health() -> ResponseReturnValue:
    """For monitoring: 200 if the accounts answer, 503 if not. Tells nothing else."""
    context.context().accounts.check()
    return "ok\n", {"Content-Type": "text/plain; charset=utf-8"}
