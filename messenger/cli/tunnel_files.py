"""The tunnel's keys and certificates as the settings name them.

A private key lies beside its certificate: webmail-sender.key beside webmail-sender.pem. Only the recipient's keys are
named in the settings; the sender's belong to the gateway, and no service of Messenger reads them.
"""

from pathlib import Path

from cryptography import x509

from ..config import Config
from ..tunnel import SenderKey, TunnelKeys
from ..tunnel.keys import load_certificate, load_recipient_key, load_sender_key
from . import status


def tunnel_keys(config: Config) -> TunnelKeys:
    """Read what the intake opens and verifies with."""
    pairs = zip(config.tunnel.recipient_certificates, config.tunnel.recipient_keys, strict=True)
    return TunnelKeys(
        recipients=tuple(load_recipient_key(certificate, key) for certificate, key in pairs),
        signers=tuple(load_certificate(path) for path in config.tunnel.sender_certificates),
    )


def sender_key(config: Config) -> SenderKey:
    """Read the newest sender key that setup made here."""
    for certificate in config.tunnel.sender_certificates:
        if key_beside(certificate).exists():
            return load_sender_key(certificate, key_beside(certificate))
    named = ", ".join(str(key_beside(path)) for path in config.tunnel.sender_certificates) or "none"
    raise status.Failed(
        f"no webmail sender key here (looked for {named}); the gateway has it, or `messenger setup --renew-tunnel`"
        " makes a new pair",
        status.NO_INPUT,
    )


def recipient_certificate(config: Config) -> x509.Certificate:
    """Read the certificate that gateways should encrypt to now."""
    if not config.tunnel.recipient_certificates:
        raise status.Failed("[tunnel] recipient_certificates names none; `messenger setup` makes one", status.CONFIG)
    return load_certificate(config.tunnel.recipient_certificates[0])


def key_beside(certificate: Path) -> Path:
    return certificate.with_suffix(".key")
