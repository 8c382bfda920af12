"""Greet a milter as Postfix does, and say good-bye: whether somebody is there who speaks its protocol.

Takes a socket that is connected; knows nothing of where.
"""

import socket
import struct

#: Of the milter protocol (libmilter's mfdef.h): version, all actions, all steps that may be left out.
_OFFER = struct.pack(">cIII", b"O", 6, 0x1FF, 0x1FFFFF)
_GOODBYE = b"Q"


def greet(there: socket.socket) -> bool:
    """Negotiate with who is at the other end; False if that is no milter. Raises OSError, and EOFError for no answer.

    Takes as long as the socket's timeout for each piece.
    """
    there.sendall(_frame(_OFFER))
    head = _received(there, 5)
    if head[4:] != b"O":
        return False
    _received(there, struct.unpack(">I", head[:4])[0] - 1)
    there.sendall(_frame(_GOODBYE))
    return True


def _frame(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def _received(there: socket.socket, length: int) -> bytes:
    pieces = b""
    while len(pieces) < length:
        piece = there.recv(min(length - len(pieces), 4096))
        if not piece:
            raise EOFError("the connection was closed without an answer")
        pieces += piece
    return pieces
