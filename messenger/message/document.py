"""The document that goes into the frame, and the rules the frame goes by.

HTML mail lies on a white sheet, light or dark, because its colours were chosen for one. Plain text follows the reader.
"""

from __future__ import annotations

from html import escape

from .sanitise import Sanitised

#: For <iframe sandbox="...">, and again in the policy below: links open outside, and that is all.
FRAME_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"

_SHARED = """
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;padding:12px 16px;font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
overflow-wrap:break-word}
a{color:#0b57d0}
.quoted{color:#5a5f66}
"""
_SHEET = """
:root{color-scheme:only light}
body{background:#fff;color:#1b1b1b}
.mail{overflow-x:auto}
img{max-width:100%;height:auto}
pre{white-space:pre-wrap}
table{max-width:100%}
blockquote{margin:0 0 0 .25em;padding-left:.75em;border-left:2px solid #c9cdd2}
img:not([src]){display:inline-block;box-sizing:border-box;min-width:1.5em;min-height:1.5em;padding:2px 6px;
border:1px dashed #b9bec5;background:#f3f4f6;color:#4a4f57;font:13px/1.4 system-ui,sans-serif;overflow:hidden;
vertical-align:middle}
img:not([src])[width="0"],img:not([src])[width="1"],img:not([src])[height="0"],img:not([src])[height="1"]
{display:none}
@media (max-width:640px){
table{max-width:calc(100vw - 32px)!important}
table table{max-width:calc(100vw - 48px)!important}
div{max-width:100%!important}
td,th{overflow-wrap:anywhere}
img:not([src]){width:auto!important;height:auto!important}
}
@media print{body{padding:0}}
"""
_PLAIN = """
:root{color-scheme:light dark}
html{background:#fff;color:#1b1b1b}
.text{white-space:pre-wrap;max-width:78ch}
@media (prefers-color-scheme:dark){html{background:#16181c;color:#e6e8eb}a{color:#9ec1ff}.quoted{color:#a3a9b1}}
"""


def policy(remote_pictures: bool) -> str:
    """The Content-Security-Policy of the frame's route."""
    pictures = "data: https:" if remote_pictures else "data:"
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src {pictures}; form-action 'none'; base-uri 'none'; "
        f"frame-ancestors 'self'; sandbox {FRAME_SANDBOX}"
    )


def sheet(title: str, clean: Sanitised) -> str:
    """A document around sanitised HTML."""
    style = f' style="{escape(clean.body_style)}"' if clean.body_style else ""
    direction = f' dir="{escape(clean.direction)}"' if clean.direction else ""
    body = f'<body{style}><div class="mail"{direction}>{clean.html}</div></body>'
    return _document(title, _SHEET, body, clean.language)


def plain(title: str, text_as_html: str) -> str:
    """A document around text that text_html() has made."""
    return _document(title, _PLAIN, f'<body><div class="text" dir="auto">{text_as_html}</div></body>')


def _document(title: str, style: str, body: str, language: str = "") -> str:
    # "und" (RFC 5646): most mails don't say; better than a guess that is read out with the wrong voice.
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(language or "und")}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title) or '-'}</title><style>{_SHARED}{style}</style></head>\n{body}</html>\n"
    )
