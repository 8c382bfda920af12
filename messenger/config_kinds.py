"""Kinds of values that several settings share: each with its words for a person and its check."""

from typing import Annotated

from . import config_forms as forms
from .config_forms import Form
from .envelope import normal

Text = Annotated[str, Form("text", forms.text)]
Address = Annotated[str, Form('a mail address such as "webmail@example.com"', normal)]
Domain = Annotated[str, Form('a mail domain such as "example.com"', forms.domain)]
Words = Annotated[tuple[str, ...], Form('a command with its full path, such as ["/usr/sbin/sendmail"]', forms.command)]
Colour = Annotated[str, Form('a colour such as "#0f5c66", or "" for ours', forms.colour_or_nothing)]
Link = Annotated[str, Form('an address that begins with https://, http:// or mailto:, or ""', forms.link_or_nothing)]
Socket = Annotated[str, Form('a path of at most 107 bytes, or "inet:PORT@HOST"', forms.socket, socket=True)]
Octets = Annotated[int, Form('bytes, or a size such as "2 GB"; 0 is none', forms.octets, also=str)]
Days = Annotated[int, Form("days, from 1 to 36500; 0 is never", forms.between(0, 36_500))]
