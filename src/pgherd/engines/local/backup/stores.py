"""pgBackRest's options for each kind of store, and what a key's file has to hold. Pure.

What is in a key's file is never said again: no error has a part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from pgherd.engines.local.values import Store, StoreType
from pgherd.errors import InputError

SINCE: Mapping[StoreType, tuple[int, int]] = {
    StoreType.S3: (2, 0),
    StoreType.AZURE: (2, 30),
    StoreType.GCS: (2, 33),
    StoreType.SFTP: (2, 46),
}
"""From which version of pgBackRest on there is each."""
COPIED = (StoreType.GCS, StoreType.SFTP)
"""pgBackRest wants their key in a file of its own, and the others' in its configuration."""
SECRETS = ("repo1-s3-key", "repo1-s3-key-secret", "repo1-s3-token", "repo1-azure-key")
WORD = re.compile(r"[\x21-\x7e]+")
_S3 = {
    "aws_access_key_id": "key",
    "aws_secret_access_key": "key-secret",
    "aws_session_token": "token",
}


def lack(type: StoreType, version: tuple[int, int] | None) -> str | None:
    """Why that pgBackRest cannot have backups there; None where it can."""
    if version is not None and version >= SINCE[type]:
        return None
    found = "{}.{}".format(*version) if version else "of unknown version"
    since = "{}.{}".format(*SINCE[type])
    return f"pgBackRest {found} has no {type}: that needs {since} or newer"


def known(version: tuple[int, int] | None) -> list[StoreType]:
    """The kinds of stores that it has."""
    return [type for type in StoreType if lack(type, version) is None]


def text(store: Store, secret: str, source: Path, copy: Path) -> str:
    """Of [global]: where it is and how it is opened; InputError where the key is none.

    `secret` is the content of the file `source`; `copy` is where that is for pgBackRest, for those
    that want a file.
    """
    host, _, port = store.endpoint.partition(":")
    options: dict[str, str] = {"type": store.type, "path": store.path}
    match store.type:
        case StoreType.S3:
            options |= {"s3-bucket": store.bucket, "s3-endpoint": host, "s3-region": store.region}
            options |= {f"s3-{name}": word for name, word in _s3(secret, source).items()}
        case StoreType.AZURE:
            word = _word(secret, source)
            options |= {"azure-account": store.account, "azure-container": store.container}
            options |= {"azure-endpoint": host, "azure-key": word}
            options["azure-key-type"] = "sas" if "sig=" in word else "shared"
        case StoreType.GCS:
            _require_service_account(secret, source)
            options |= {"gcs-bucket": store.bucket, "gcs-endpoint": host, "gcs-key": str(copy)}
        case StoreType.SFTP:
            if "PRIVATE KEY-----" not in secret:
                raise InputError(f"{source} holds no private key in PEM", "write one")
            host, _, at = store.host.partition(":")
            options |= {"sftp-host": host, "sftp-host-port": at, "sftp-host-user": store.user}
            options |= {"sftp-host-key-hash-type": "sha256"}
            options |= {"sftp-host-fingerprint": store.fingerprint}
            options |= {"sftp-private-key-file": str(copy)}
    if store.uri_style:
        options[f"{store.type}-uri-style"] = store.uri_style
    options |= {"storage-port": port, "storage-ca-file": store.ca_file}
    return "".join(f"repo1-{name}={value}\n" for name, value in options.items() if value)


def apart(text: str) -> tuple[str, dict[str, str]]:
    """A configuration without the keys in it, and those as variables of the environment."""
    kept, taken = [], {}
    for line in text.splitlines(keepends=True):
        name, _, value = line.rstrip("\n").partition("=")
        if name in SECRETS:
            taken[f"PGBACKREST_{name.upper().replace('-', '_')}"] = value
        else:
            kept.append(line)
    return "".join(kept), taken


def _s3(secret: str, source: Path) -> Mapping[str, str]:
    """As the AWS command line keeps them, in one profile."""
    found: dict[str, str] = {}
    for line in secret.splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        if name in _S3:
            if _S3[name] in found:
                raise InputError(f"{source} has {name} twice", "leave one profile in it")
            found[_S3[name]] = value
    if not all(WORD.fullmatch(found.get(name, "")) for name in {"key", "key-secret", *found}):
        raise InputError(
            f"{source} does not hold a key for S3",
            "write two lines, aws_access_key_id = ... and aws_secret_access_key = ...",
        )
    return found


def _word(secret: str, source: Path) -> str:
    word = secret.strip()
    if not WORD.fullmatch(word):
        raise InputError(f"{source} does not hold one key", "write one, and nothing else")
    return word


def _require_service_account(secret: str, source: Path) -> None:
    try:
        is_one = "private_key" in json.loads(secret)
    except (ValueError, TypeError, RecursionError):
        is_one = False
    if not is_one:
        raise InputError(f"{source} does not hold a service account", "write the JSON of its key")
