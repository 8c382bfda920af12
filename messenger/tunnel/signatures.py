"""Check one signature value against one public key, by the algorithms that TUNNEL lets through."""

from asn1crypto import algos
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from . import oids
from .ber import NULL
from .keys import PublicKey
from .refused import Refused, unsupported

MAX_PARAMETERS = 1024
MAX_SALT = 512

_NO_PARAMETERS = (b"", bytes((NULL, 0)))


def fits(key: PublicKey, algorithm: bytes, parameters: bytes, digest: bytes, signature: bytes, message: bytes) -> bool:
    """Is *signature* one by *key* over *message*? *digest* is the OID that the signerInfo names for its hash."""
    hash_ = oids.HASHES[digest]
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, _rsa_padding(algorithm, parameters, digest), hash_)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            if oids.ECDSA_SIGNATURES.get(algorithm) != digest or parameters not in _NO_PARAMETERS:
                raise unsupported("a signature by an EC key that is not ECDSA with the hash of its digest")
            key.verify(signature, message, ec.ECDSA(hash_))
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
        return _pss(parameters, digest)
    if algorithm != oids.RSA and oids.RSA_SIGNATURES.get(algorithm) != digest:
        raise unsupported("a signature by an RSA key that is neither PKCS#1 v1.5 nor PSS with the hash of its digest")
    if parameters not in _NO_PARAMETERS:
        raise unsupported("an RSA PKCS#1 v1.5 signature with parameters")
    return padding.PKCS1v15()


def _pss(parameters: bytes, digest: bytes) -> padding.PSS:
    """RSASSA-PSS-params: RFC 8017, A.2.3, and RFC 4056, 3: the same hash throughout."""
    if len(parameters) > MAX_PARAMETERS:
        raise Refused("limit", f"RSA-PSS parameters of {len(parameters)} bytes")
    read = algos.RSASSAPSSParams.load(parameters or b"\x30\x00", strict=True)
    generator = read["mask_gen_algorithm"]
    if generator["algorithm"].native != "mgf1" or read["trailer_field"].native != "trailer_field_bc":
        raise unsupported("RSA-PSS with another mask or trailer than RFC 8017 knows")
    used = {_oid(read["hash_algorithm"]), _oid(generator["parameters"])}
    salt = read["salt_length"].native
    if used != {digest} or not 0 <= salt <= MAX_SALT:
        raise unsupported("RSA-PSS whose hashes differ from the digest, or with an odd salt")
    return padding.PSS(padding.MGF1(oids.HASHES[digest]), salt)


def _oid(algorithm: algos.DigestAlgorithm) -> bytes:
    return oids.octets(algorithm["algorithm"].dotted)


#: For those who sign.
PKCS1 = padding.PKCS1v15()
SHA256 = hashes.SHA256()
