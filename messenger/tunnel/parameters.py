"""Read the parameters of RSA-OAEP and RSA-PSS (RFC 8017, appendix A.2). Small, and the one place for asn1crypto."""

from asn1crypto import algos
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from . import oids
from .refused import Refused, malformed, unsupported

MAX_LENGTH = 1024
MAX_SALT = 512

#: What asn1crypto raises on bytes that are something else.
_NOT_THAT = (ValueError, TypeError, LookupError, AttributeError)
_ALL_DEFAULTS = b"\x30\x00"


def oaep(parameters: bytes) -> padding.OAEP:
    """RSAES-OAEP-params: RFC 8017, A.2.1. All of it may be left out and means SHA-1."""
    _check_length(parameters)
    try:
        read = algos.RSAESOAEPParams.load(parameters or _ALL_DEFAULTS, strict=True)
        generator, source = read["mask_gen_algorithm"], read["p_source_algorithm"]
        kinds = generator["algorithm"].native, source["algorithm"].native
        mask, hash_ = _dotted(generator["parameters"]), _dotted(read["hash_algorithm"])
        label = source["parameters"].native
    except _NOT_THAT as error:
        raise malformed("RSA-OAEP parameters that are none") from error
    if kinds != ("mgf1", "p_specified"):
        raise unsupported("RSA-OAEP with another mask or label than RFC 8017 knows")
    return padding.OAEP(padding.MGF1(_hash(mask)), _hash(hash_), label or None)


def pss(parameters: bytes, digest: bytes) -> padding.PSS:
    """RSASSA-PSS-params: RFC 8017, A.2.3, and RFC 4056, 3: the same hash throughout."""
    _check_length(parameters)
    try:
        read = algos.RSASSAPSSParams.load(parameters or _ALL_DEFAULTS, strict=True)
        generator = read["mask_gen_algorithm"]
        kinds = generator["algorithm"].native, read["trailer_field"].native
        used = {_dotted(read["hash_algorithm"]), _dotted(generator["parameters"])}
        salt = read["salt_length"].native
    except _NOT_THAT as error:
        raise malformed("RSA-PSS parameters that are none") from error
    if kinds != ("mgf1", "trailer_field_bc"):
        raise unsupported("RSA-PSS with another mask or trailer than RFC 8017 knows")
    if used != {digest} or not 0 <= salt <= MAX_SALT:
        raise unsupported("RSA-PSS whose hashes differ from the digest, or with an odd salt")
    return padding.PSS(padding.MGF1(_hash(digest)), salt)


def _check_length(parameters: bytes) -> None:
    if len(parameters) > MAX_LENGTH:
        raise Refused("limit", f"algorithm parameters of {len(parameters)} bytes")


def _dotted(algorithm: algos.DigestAlgorithm) -> bytes:
    return oids.octets(algorithm["algorithm"].dotted)


def _hash(oid: bytes) -> hashes.HashAlgorithm:
    if oid not in oids.HASHES:
        raise unsupported("a hash other than SHA-1, SHA-256, SHA-384, SHA-512 within an RSA scheme")
    return oids.HASHES[oid]
