"""The tunnel between gateway and Messenger: S/MIME around a whole message (docs/tunnel.md)."""

from .identity import fingerprint
from .keys import KeyFileError, RecipientKey, SenderKey, TunnelKeys, load_certificate, load_sender_key
from .opening import TunnelMail, unwrap
from .policy import Policy
from .refused import Refused
from .sealing import seal
from .signing import WrapError
from .wrapping import wrap

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
    "load_certificate",
    "load_sender_key",
    "seal",
    "unwrap",
    "wrap",
]
