"""The passwords of roles: derived from the seed, and as PostgreSQL keeps them."""

from __future__ import annotations

import base64
import hashlib
import hmac

SCRAM_ITERATIONS = 4096


def role_password(seed: bytes, role: str, database: str) -> str:
    """A role's password: the same on every host, known to nobody, stored nowhere.

    32 characters, of which 28 are of 6 bits each; those before them satisfy any rule that asks
    for an upper and a lower case letter, a digit and a sign.
    """
    digest = hmac.digest(seed, f"{role}@{database}".encode(), "sha256")
    return "Pg1_" + base64.urlsafe_b64encode(digest).decode()[:28]


def scram_verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL keeps of a password (RFC 5803), so that the password stays out of SQL."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(v).decode() for v in (salt, stored, server))
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{salt64}${stored64}:{server64}"


def verifier(seed: bytes, role: str, database: str) -> str:
    """Of a role's password; the same on every host."""
    salt = hmac.digest(seed, f"salt of {role}@{database}".encode(), "sha256")[:16]
    return scram_verifier(role_password(seed, role, database), salt)
