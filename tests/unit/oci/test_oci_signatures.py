"""Signatures that the local OCI takes, and those that it refuses."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pgherd.testing.oci import signatures
from pgherd.testing.oci.refusals import Refused

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BODY = b'{"name": "production"}'
SIGNED = "date (request-target) host content-length content-type x-content-sha256"


def headers() -> dict[str, str]:
    return {
        "date": format_datetime(NOW, usegmt=True),
        "host": "127.0.0.1:1",
        "content-length": str(len(BODY)),
        "content-type": "application/json",
        "x-content-sha256": base64.b64encode(hashlib.sha256(BODY).digest()).decode(),
    }


@cache
def private_key() -> rsa.RSAPrivateKey:
    """Reading it takes long, as it is proven to be one."""
    pem, _, _ = signatures.new_key()
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def sign(sent: Mapping[str, str], names: str = SIGNED) -> dict[str, str]:
    """Sign as the SDK does, but by other code than what is tested."""
    values = {**sent, "(request-target)": "post /x"}
    text = "\n".join(f"{name}: {values[name]}" for name in names.split())
    signature = base64.b64encode(
        private_key().sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    ).decode()
    written = (
        f'Signature algorithm="rsa-sha256",headers="{names}",keyId="k",'
        f'signature="{signature}",version="1"'
    )
    return {**sent, "authorization": written}


def verify(sent: Mapping[str, str], body: bytes = BODY, method: str = "POST") -> None:
    _, _, public = signatures.new_key()
    signatures.verify(method, "/x", sent, body, {"k": public}, NOW)


def test_a_right_one_is_taken() -> None:
    verify(sign(headers()))


def refused(sent: Mapping[str, str], says: str, body: bytes = BODY, method: str = "POST") -> None:
    with pytest.raises(Refused) as error:
        verify(sent, body, method)
    assert error.value.status == 401
    assert says in error.value.message


@pytest.mark.parametrize("minutes", [-6, 6])
def test_the_date_is_now(minutes: int) -> None:
    date = format_datetime(NOW + timedelta(minutes=minutes), usegmt=True)
    refused(sign({**headers(), "date": date}), "five minutes")


def test_the_date_can_be_read() -> None:
    refused(sign({**headers(), "date": "yesterday"}), "cannot be read")


def test_the_body_is_the_signed_one() -> None:
    refused(sign(headers()), "x-content-sha256", BODY + b" ")
    refused(sign({**headers(), "content-length": "1"}), "content-length")


@pytest.mark.parametrize("left_out", SIGNED.split())
def test_everything_that_matters_is_signed(left_out: str) -> None:
    names = " ".join(name for name in SIGNED.split() if name != left_out)
    refused(sign(headers(), names), f"leaves out {left_out}")


def test_a_read_needs_no_body_signed() -> None:
    with pytest.raises(Refused, match="does not hold"):
        verify(sign(headers(), "date (request-target) host"), b"", "GET")


def test_what_was_signed_was_sent() -> None:
    sent = sign(headers())
    del sent["host"]
    refused(sent, "host was not sent")


@pytest.mark.parametrize("name", ["host", "content-type", "date"])
def test_a_header_that_was_changed_on_the_way(name: str) -> None:
    sent = sign(headers())
    later = format_datetime(NOW + timedelta(seconds=1), usegmt=True)
    refused({**sent, name: later}, "does not hold")


def test_a_signature_that_is_no_base64() -> None:
    sent = sign(headers())
    sent["authorization"] = sent["authorization"].replace('signature="', 'signature="*')
    refused(sent, "does not hold")
