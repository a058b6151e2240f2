"""HTTP signatures as OCI wants them: RSA-SHA256 over named headers, bodies by their digest."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pgherd.testing.oci.refusals import not_authenticated

SKEW = timedelta(minutes=5)
_ALWAYS = ("date", "(request-target)", "host")
_WITH_BODY = ("content-length", "content-type", "x-content-sha256")


@cache
def new_key() -> tuple[str, str, rsa.RSAPublicKey]:
    """An API key: its PEM, its fingerprint as OCI writes it, its public part.

    One a process is enough: making it is slow, and it opens nothing but loopback.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    digest = hashlib.md5(der, usedforsecurity=False).hexdigest()
    fingerprint = ":".join(digest[at : at + 2] for at in range(0, 32, 2))
    return pem.decode(), fingerprint, key.public_key()


def verify(
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    keys: Mapping[str, rsa.RSAPublicKey],
    now: datetime,
) -> None:
    """Refuse a call that is not signed by a known key, just now, over all that matters."""
    written = headers.get("authorization", "")
    if not written.startswith("Signature "):
        raise not_authenticated("The request has no signature")
    parts = dict(re.findall(r'(\w+)="([^"]*)"', written))
    if parts.get("algorithm") != "rsa-sha256" or parts.get("version") != "1":
        raise not_authenticated("The signature must be rsa-sha256, version 1")
    key = keys.get(parts.get("keyId", ""))
    if key is None:
        raise not_authenticated("The key is not known")
    signed = parts.get("headers", "").split()
    _all_that_matters(method, signed)
    _just_now(headers, now)
    if "x-content-sha256" in signed:
        _body_is_the_signed_one(headers, body)
    _holds(key, parts.get("signature", ""), _signing_string(method, target, headers, signed))


def _all_that_matters(method: str, signed: list[str]) -> None:
    needed = _ALWAYS + (_WITH_BODY if method in ("POST", "PUT", "PATCH") else ())
    left_out = [name for name in needed if name not in signed]
    if left_out:
        raise not_authenticated(f"The signature leaves out {', '.join(left_out)}")


def _just_now(headers: Mapping[str, str], now: datetime) -> None:
    try:
        date = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        raise not_authenticated("The date cannot be read") from None
    if date.tzinfo is None or abs(now - date) > SKEW:
        raise not_authenticated("The date is more than five minutes off")


def _body_is_the_signed_one(headers: Mapping[str, str], body: bytes) -> None:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    if headers.get("x-content-sha256") != digest:
        raise not_authenticated("The body does not match x-content-sha256")
    if headers.get("content-length") != str(len(body)):
        raise not_authenticated("The body does not match content-length")


def _signing_string(
    method: str, target: str, headers: Mapping[str, str], signed: list[str]
) -> bytes:
    lines = []
    for name in signed:
        if name == "(request-target)":
            lines.append(f"{name}: {method.lower()} {target}")
        elif name in headers:
            lines.append(f"{name}: {headers[name]}")
        else:
            raise not_authenticated(f"The signed header {name} was not sent")
    return "\n".join(lines).encode()


def _holds(key: rsa.RSAPublicKey, signature: str, text: bytes) -> None:
    try:
        key.verify(
            base64.b64decode(signature, validate=True), text, padding.PKCS1v15(), hashes.SHA256()
        )
    except (InvalidSignature, binascii.Error):
        raise not_authenticated("The signature does not hold") from None
