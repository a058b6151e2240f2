"""pgBackRest reads what is written for each kind of store, and gets as far as the network."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pgherd.engines.local.backup import pgbackrest, stores
from pgherd.engines.local.values import Store, StoreType, UriStyle

pytestmark = pytest.mark.integration
NOBODY = "localhost:1"
S3_KEY = "aws_access_key_id = A\naws_secret_access_key = b\naws_session_token = c\n"


def service_account() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "a@example.com",
            "private_key": pem,
            "token_uri": f"https://{NOBODY}/token",
        }
    )


S3 = Store(StoreType.S3, "/key", path="/a", bucket="bucket", endpoint=NOBODY, region="here")
AZURE = Store(
    StoreType.AZURE,
    "/key",
    path="/a",
    account="account",
    container="container",
    endpoint=NOBODY,
    uri_style=UriStyle.PATH,
)
GCS = Store(StoreType.GCS, "/key", path="/a", bucket="bucket", endpoint=NOBODY)
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
STORES = {
    "s3": (S3, S3_KEY),
    "s3 by path": (replace(S3, uri_style=UriStyle.PATH, ca_file=TRUSTED), S3_KEY),
    "azure": (AZURE, "YWJjZGVm"),
    "azure with a token": (AZURE, "sv=2022&sig=YWJj"),
    "gcs": (GCS, service_account()),
}


@pytest.mark.parametrize("name", STORES)
def test_pgbackrest_reads_it(tmp_path: Path, name: str) -> None:
    store, secret = STORES[name]
    program = pgbackrest.program()
    assert program
    copy, configuration = tmp_path / "store.key", tmp_path / "pgbackrest.conf"
    copy.write_text(secret)
    place = stores.text(store, secret, Path("/key"), copy)
    configuration.write_text("[global]\n" + pgbackrest.repository(tmp_path, "key", place))
    command = pgbackrest.command(program, configuration, "repo-ls", None, ["--io-timeout=0.1"])
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    said = done.stdout + done.stderr
    # Bad options are 31 to 37, a key that is none 25 to 29; 49 is a host that does not answer.
    assert done.returncode == 49, said
    assert "WARN" not in said
    assert "localhost" in said


def test_it_has_the_stores_that_are_said_of_its_version(tmp_path: Path) -> None:
    program = pgbackrest.program()
    assert program
    done = subprocess.run(
        [program, "help", "backup", "repo-type"], capture_output=True, text=True, check=True
    )
    for type in StoreType:
        has = stores.lack(type, pgbackrest.version(program)) is None
        assert (f"* {type} " in done.stdout) == has, done.stdout
