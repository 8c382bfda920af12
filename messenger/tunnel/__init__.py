"""The tunnel between gateway and Messenger: S/MIME around a whole message (docs/tunnel.md)."""

from .identity import fingerprint
from .keys import KeyFileError, RecipientKey, SenderKey, TunnelKeys
from .opening import TunnelMail, unwrap
from .policy import Policy
from .refused import Refused
from .wrapping import WrapError, wrap

__all__ = [
    "KeyFileError",
    "Policy",
    "RecipientKey",
    "Refused",
    "SenderKey",
    "TunnelKeys",
    "TunnelMail",
    "WrapError",
    "fingerprint",
    "unwrap",
    "wrap",
]
