"""What a site lets through the tunnel beyond, or short of, what is accepted everywhere."""

from dataclasses import dataclass, field

from ..tunnel_fields import Fields


@dataclass(frozen=True)
class Policy:
    #: Recipients here are not for us where they come from To and Cc.
    own_domains: tuple[str, ...] = ()
    #: Read envelope and options from header fields that nobody signed.
    accept_outer_headers: bool = False
    allow_3des: bool = False
    allow_sha1: bool = False
    fields: Fields = field(default_factory=Fields)
