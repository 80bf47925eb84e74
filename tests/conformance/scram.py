"""The client's side of SCRAM (RFC 5802), and its faults on request."""

import base64
import hashlib
import hmac
import os

HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
LEAST_ITERATIONS = 4096  # RFC 5802 section 5.1


class Refused(Exception):
    """What the server sent is not what SCRAM has; the message says what."""


class Scram:
    def __init__(self, mechanism, user, password, nonce_changed=False, header=b"n,,", binding=b""):
        """`header` says whether the client binds, `binding` is what it takes the channel for."""
        self.hash = HASHES[mechanism.removesuffix("-PLUS")]
        self.header = header
        self.binding = binding
        self.password = password
        self.nonce_changed = nonce_changed
        self.nonce = base64.b64encode(os.urandom(18))
        name = user.replace(b"=", b"=3D").replace(b",", b"=2C")
        self.first_bare = b"n=" + name + b",r=" + self.nonce
        self.salt = None

    def hmac(self, key, text):
        return hmac.digest(key, text, self.hash)

    def first(self):
        return base64.b64encode(self.header + self.first_bare)

    def final(self, challenge):
        """The answer to the server's first message, both in base64."""
        server_first = base64.b64decode(challenge, validate=True)
        parts = dict(part.split(b"=", 1) for part in server_first.split(b",") if b"=" in part)
        if not {b"r", b"s", b"i"} <= parts.keys():
            raise Refused("a first message without nonce, salt or iterations")
        if not parts[b"r"].startswith(self.nonce) or parts[b"r"] == self.nonce:
            raise Refused("a nonce that does not go on from the client's")
        if int(parts[b"i"]) < LEAST_ITERATIONS:
            raise Refused(f"{int(parts[b'i'])} iterations")
        self.salt = parts[b"s"]
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, base64.b64decode(self.salt),
                                     int(parts[b"i"]))
        nonce = parts[b"r"] + (b"x" if self.nonce_changed else b"")
        without_proof = b"c=" + base64.b64encode(self.header + self.binding) + b",r=" + nonce
        message = b",".join([self.first_bare, server_first, without_proof])
        key = self.hmac(salted, b"Client Key")
        signature = self.hmac(hashlib.new(self.hash, key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        self.expected = b"v=" + base64.b64encode(
            self.hmac(self.hmac(salted, b"Server Key"), message))
        return base64.b64encode(without_proof + b",p=" + base64.b64encode(proof))

    def check(self, challenge):
        """The server's last message shows that it knows the password too."""
        if base64.b64decode(challenge, validate=True) != self.expected:
            raise Refused("the server does not prove that it knows the password")
