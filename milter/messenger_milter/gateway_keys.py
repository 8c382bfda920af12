"""The keys that the gateway's copies are made with, read where the settings name them."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509

from messenger.config import Config
from messenger.gateway.certificates import SigningKeys
from messenger.gateway.grounds import Grounds
from messenger.tunnel import KeyFileError, SenderKey, load_certificate, load_sender_key

from .gateway_copies import Keys


def keys_of(config: Config, grounds: Grounds) -> Keys:
    """Read the keys; raises KeyFileError where one can't be."""
    section = config.gateway
    signing = SigningKeys(section.sender_keys) if section.sender_keys else None
    main = load_certificate(section.recipient_certificate)

    def webmail_recipient(address: str) -> x509.Certificate:
        if address == config.tunnel.webmail_recipient:
            return main
        if section.more_recipients is None:
            raise KeyFileError(
                f"no certificate for the webmail recipient {address}: put {address}.pem into a folder, and name that"
                " [gateway] more_recipients"
            )
        return load_certificate(section.more_recipients / f"{address}.pem")

    def signing_key(address: str) -> SenderKey | None:
        return signing.of(address, datetime.now(UTC)) if signing else None

    return Keys(
        sender=load_sender_key(section.sender_certificate, section.sender_key),
        webmail_recipient=webmail_recipient,
        certificate=grounds.certificate,
        signing_key=signing_key,
        fields=config.tunnel.fields,
        modern=section.modern,
    )
