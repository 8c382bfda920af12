"""The settings of whoever watches the services: metrics and logs."""

from dataclasses import dataclass
from typing import Annotated

from . import config_forms as forms
from .config_forms import Form


@dataclass(frozen=True)
class Metrics:
    #: Of the reader; the others take the ports after it.
    listen: Annotated[str, Form('"HOST:PORT" such as "127.0.0.1:9025", or "" for none', forms.host_port_or_nothing)] = (
        ""
    )


@dataclass(frozen=True)
class Log:
    format: Annotated[str, Form('"text" or "json"', forms.one_of("text", "json"))] = "text"
