"""Object identifiers of CMS and its algorithms, as the content octets that stand in the encoding."""

from cryptography.hazmat.primitives import hashes


def octets(dotted: str) -> bytes:
    """Encode an OID (X.690, 8.19)."""
    first, second, *rest = map(int, dotted.split("."))
    encoded = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        encoded += bytes(reversed(groups))
    return bytes(encoded)


# Content types: RFC 5652, 5083, 3274
DATA = octets("1.2.840.113549.1.7.1")
SIGNED_DATA = octets("1.2.840.113549.1.7.2")
ENVELOPED_DATA = octets("1.2.840.113549.1.7.3")
AUTH_ENVELOPED_DATA = octets("1.2.840.113549.1.9.16.1.23")
COMPRESSED_DATA = octets("1.2.840.113549.1.9.16.1.9")

# Attributes: RFC 5652, section 11
CONTENT_TYPE = octets("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = octets("1.2.840.113549.1.9.4")
SIGNING_TIME = octets("1.2.840.113549.1.9.5")

# Digests: RFC 5754
SHA1 = octets("1.3.14.3.2.26")
SHA256 = octets("2.16.840.1.101.3.4.2.1")
SHA384 = octets("2.16.840.1.101.3.4.2.2")
SHA512 = octets("2.16.840.1.101.3.4.2.3")
HASHES: dict[bytes, hashes.HashAlgorithm] = {
    SHA1: hashes.SHA1(),  # noqa: S303  (OAEP's default, and signatures only where the site allows it)
    SHA256: hashes.SHA256(),
    SHA384: hashes.SHA384(),
    SHA512: hashes.SHA512(),
}

# Content encryption: RFC 3565, 5084, 3370
AES_128_CBC = octets("2.16.840.1.101.3.4.1.2")
AES_192_CBC = octets("2.16.840.1.101.3.4.1.22")
AES_256_CBC = octets("2.16.840.1.101.3.4.1.42")
AES_128_GCM = octets("2.16.840.1.101.3.4.1.6")
AES_256_GCM = octets("2.16.840.1.101.3.4.1.46")
DES_EDE3_CBC = octets("1.2.840.113549.3.7")

# Key transport, RSA: RFC 8017
RSA = octets("1.2.840.113549.1.1.1")
RSA_OAEP = octets("1.2.840.113549.1.1.7")
MGF1 = octets("1.2.840.113549.1.1.8")
P_SPECIFIED = octets("1.2.840.113549.1.1.9")

# Signatures: RFC 8017, 5754, 8419
RSA_PSS = octets("1.2.840.113549.1.1.10")
RSA_SIGNATURES = {
    octets("1.2.840.113549.1.1.5"): SHA1,
    octets("1.2.840.113549.1.1.11"): SHA256,
    octets("1.2.840.113549.1.1.12"): SHA384,
    octets("1.2.840.113549.1.1.13"): SHA512,
}
ECDSA_SHA256 = octets("1.2.840.10045.4.3.2")
ECDSA_SIGNATURES = {
    octets("1.2.840.10045.4.1"): SHA1,
    ECDSA_SHA256: SHA256,
    octets("1.2.840.10045.4.3.3"): SHA384,
    octets("1.2.840.10045.4.3.4"): SHA512,
}
ED25519 = octets("1.3.101.112")

# Key agreement: RFC 5753, 8418
EC_PUBLIC_KEY = octets("1.2.840.10045.2.1")
X25519 = octets("1.3.101.110")
ECDH_SHA256 = octets("1.3.132.1.11.1")
#: Standard and cofactor ECDH give the same secret on curves whose cofactor is 1, which ours all are.
X963_SCHEMES: dict[bytes, hashes.HashAlgorithm] = {
    octets("1.3.133.16.840.63.0.2"): hashes.SHA1(),  # noqa: S303  (a key derivation: collisions don't matter)
    octets("1.3.132.1.11.0"): hashes.SHA224(),
    ECDH_SHA256: hashes.SHA256(),
    octets("1.3.132.1.11.2"): hashes.SHA384(),
    octets("1.3.132.1.11.3"): hashes.SHA512(),
    octets("1.3.133.16.840.63.0.3"): hashes.SHA1(),  # noqa: S303  (as above)
    octets("1.3.132.1.14.0"): hashes.SHA224(),
    octets("1.3.132.1.14.1"): hashes.SHA256(),
    octets("1.3.132.1.14.2"): hashes.SHA384(),
    octets("1.3.132.1.14.3"): hashes.SHA512(),
}
HKDF_SCHEMES: dict[bytes, hashes.HashAlgorithm] = {
    octets("1.2.840.113549.1.9.16.3.19"): hashes.SHA256(),
    octets("1.2.840.113549.1.9.16.3.20"): hashes.SHA384(),
    octets("1.2.840.113549.1.9.16.3.21"): hashes.SHA512(),
}
AES_256_WRAP = octets("2.16.840.1.101.3.4.1.45")
#: Key wrap (RFC 3394), and the length of its key in bytes.
AES_WRAPS = {
    octets("2.16.840.1.101.3.4.1.5"): 16,
    octets("2.16.840.1.101.3.4.1.25"): 24,
    AES_256_WRAP: 32,
}
