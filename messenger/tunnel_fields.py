"""Names of the header fields that carry envelope and options through the tunnel, all in this one place.

The first name of each is the one we write; the others are read as well. Settings can replace any of them:
what an existing gateway calls its fields differs from site to site.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

#: Options a gateway can ask for. Others are ignored and logged: a newer gateway may know more.
READ_RECEIPT = "read-receipt"
OTP_PDF = "otp-pdf"
#: Under the signature, for whoever looks into the tunnel: a rule that made this mail one. Written, never read.
RULE = "X-Webmail-Rule"
OPTIONS = frozenset({READ_RECEIPT, OTP_PDF})
_TRUE = frozenset({"yes", "true", "on", "1"})


@dataclass(frozen=True)
class Fields:
    """Names are compared without regard to case."""

    #: Under the signature, profile ``wrapped``: once; once per recipient; a comma list.
    sender: tuple[str, ...] = ("X-Webmail-Sender",)
    recipient: tuple[str, ...] = ("X-Webmail-Recipient",)
    options: tuple[str, ...] = ("X-Webmail-Options",)
    #: Outside of it, profile ``outer``, read only where the site trusts them.
    outer_sender: tuple[str, ...] = ("From",)
    outer_recipient: tuple[str, ...] = ("To", "Cc")
    #: Fields whose value ``yes``, ``true``, ``on`` or ``1`` asks for the option. None unless the site names one.
    outer_otp: tuple[str, ...] = ()
    outer_receipt: tuple[str, ...] = ()


def outer_options(values: Callable[[str], Iterable[bytes]], fields: Fields) -> frozenset[str]:
    """Options that fields outside of a signature ask for; *values* gives all values of the field of a name."""
    return frozenset(
        option
        for option, names in ((OTP_PDF, fields.outer_otp), (READ_RECEIPT, fields.outer_receipt))
        if any(value.strip().lower().decode("latin-1") in _TRUE for name in names for value in values(name))
    )
