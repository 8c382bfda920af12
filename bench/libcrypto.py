"""OpenSSL's own CMS code in this process, by ctypes: what opening a tunnel mail costs in C."""

import ctypes
import ctypes.util
from ctypes import byref, c_char_p, c_int, c_long, c_uint, c_void_p, string_at

_LIBRARY = ctypes.util.find_library("crypto") or "libcrypto.so.3"
_NO_SIGNER_CERT_VERIFY = 0x20  # the certificate is pinned: no chain to build, as with ours
_NO_INTERN = 0x10  # none from the message
_BIO_CTRL_INFO = 3
_SET_BUF_MEM_EOF_RETURN = 130
_MAKERS = ["BIO_new_mem_buf", "BIO_new", "BIO_s_mem", "PEM_read_bio_PrivateKey", "PEM_read_bio_X509", "SMIME_read_CMS"]


class LibcryptoError(Exception):
    """OpenSSL would not open it."""


class Libcrypto:
    """Decrypts and verifies by SMIME_read_CMS, CMS_decrypt and CMS_verify."""

    def __init__(self, recipient_pem: bytes, key_pem: bytes, signer_pem: bytes) -> None:
        self.lib = lib = ctypes.CDLL(_LIBRARY)
        for name in [*_MAKERS, "OPENSSL_sk_new_null", "X509_STORE_new"]:
            getattr(lib, name).restype = c_void_p
        lib.BIO_new_mem_buf.argtypes = [c_char_p, c_int]
        lib.BIO_new.argtypes = lib.BIO_free_all.argtypes = lib.CMS_ContentInfo_free.argtypes = [c_void_p]
        lib.SMIME_read_CMS.argtypes = [c_void_p, c_void_p]
        lib.PEM_read_bio_PrivateKey.argtypes = lib.PEM_read_bio_X509.argtypes = [c_void_p] * 4
        lib.CMS_decrypt.argtypes = [c_void_p] * 5 + [c_uint]
        lib.CMS_verify.argtypes = [c_void_p] * 5 + [c_uint]
        lib.BIO_ctrl.argtypes = [c_void_p, c_int, c_long, c_void_p]
        lib.BIO_ctrl.restype = c_long
        lib.OPENSSL_sk_push.argtypes = [c_void_p, c_void_p]
        self.recipient = lib.PEM_read_bio_X509(self._bio(recipient_pem), None, None, None)
        self.key = lib.PEM_read_bio_PrivateKey(self._bio(key_pem), None, None, None)
        self.signers, self.store = lib.OPENSSL_sk_new_null(), lib.X509_STORE_new()
        lib.OPENSSL_sk_push(self.signers, lib.PEM_read_bio_X509(self._bio(signer_pem), None, None, None))

    def _bio(self, data: bytes) -> int:
        return int(self.lib.BIO_new_mem_buf(data, len(data)))

    def open(self, mail: bytes) -> bytes:
        """The signed content."""
        lib = self.lib
        source, plain, content = self._bio(mail), lib.BIO_new(lib.BIO_s_mem()), lib.BIO_new(lib.BIO_s_mem())
        detached = c_void_p(None)
        outer = lib.SMIME_read_CMS(source, None)
        inner = None
        try:
            if not outer or lib.CMS_decrypt(outer, self.key, self.recipient, None, plain, 0) != 1:
                raise LibcryptoError("CMS_decrypt")
            lib.BIO_ctrl(plain, _SET_BUF_MEM_EOF_RETURN, 0, None)
            inner = lib.SMIME_read_CMS(plain, byref(detached))
            flags = _NO_SIGNER_CERT_VERIFY | _NO_INTERN
            if not inner or lib.CMS_verify(inner, self.signers, self.store, detached, content, flags) != 1:
                raise LibcryptoError("CMS_verify")
            place = c_char_p()
            length = lib.BIO_ctrl(content, _BIO_CTRL_INFO, 0, byref(place))
            return string_at(place, length)
        finally:
            for bio in (source, plain, content, detached):
                lib.BIO_free_all(bio)
            for cms in (outer, inner):
                lib.CMS_ContentInfo_free(cms)
