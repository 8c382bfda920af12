"""Check one signature value against one public key, by the algorithms that TUNNEL lets through."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from . import oids
from .ber import NULL
from .keys import PublicKey
from .parameters import pss
from .refused import unsupported

_NO_PARAMETERS = (b"", bytes((NULL, 0)))
_ECDSA = {digest: ec.ECDSA(hash_) for digest, hash_ in oids.HASHES.items()}


def fits(key: PublicKey, algorithm: bytes, parameters: bytes, digest: bytes, signature: bytes, message: bytes) -> bool:
    """Is *signature* one by *key* over *message*? *digest* is the OID that the signerInfo names for its hash."""
    hash_ = oids.HASHES[digest]
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, _rsa_padding(algorithm, parameters, digest), hash_)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            if oids.ECDSA_SIGNATURES.get(algorithm) != digest or parameters not in _NO_PARAMETERS:
                raise unsupported("a signature by an EC key that is not ECDSA with the hash of its digest")
            key.verify(signature, message, _ECDSA[digest])
        elif isinstance(key, ed25519.Ed25519PublicKey):
            if algorithm != oids.ED25519 or parameters:
                raise unsupported("a signature by an Ed25519 key that is not Ed25519")
            key.verify(signature, message)
        else:
            raise unsupported(f"a pinned certificate whose key can't sign ({type(key).__name__})")
    except InvalidSignature:
        return False
    return True


def _rsa_padding(algorithm: bytes, parameters: bytes, digest: bytes) -> padding.AsymmetricPadding:
    if algorithm == oids.RSA_PSS:
        return pss(parameters, digest)
    if algorithm != oids.RSA and oids.RSA_SIGNATURES.get(algorithm) != digest:
        raise unsupported("a signature by an RSA key that is neither PKCS#1 v1.5 nor PSS with the hash of its digest")
    if parameters not in _NO_PARAMETERS:
        raise unsupported("an RSA PKCS#1 v1.5 signature with parameters")
    return padding.PKCS1v15()
