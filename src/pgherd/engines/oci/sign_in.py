"""Signing in to OCI: the SDK, the configuration of a profile, and what signs its calls."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from pgherd.engines.oci.refusals import first_line
from pgherd.engines.oci.variables import CONFIG_VARIABLE
from pgherd.errors import InputError


def load() -> ModuleType:
    """The SDK; InputError where it is not installed."""
    try:
        return import_module("oci")
    except ImportError as error:
        raise InputError(
            f"engine oci needs the OCI SDK: {error}", "run pip install 'pgherd[oci]'"
        ) from None


def sign_in(profile: str) -> dict[str, Any]:
    """The SDK's configuration of a profile; InputError where it cannot be used."""
    oci = load()
    path = os.environ.get(CONFIG_VARIABLE) or oci.config.DEFAULT_LOCATION
    try:
        config: dict[str, Any] = oci.config.from_file(path, profile)
        # A session's profile names no user: its token does.
        session = {"user": config.get("tenancy")} if "security_token_file" in config else {}
        oci.config.validate_config(session | config)
    except (oci.exceptions.ConfigFileNotFound, FileNotFoundError):
        raise InputError(
            f"{path} does not exist", "write it with `oci setup config`, or set OCI_CONFIG_FILE"
        ) from None
    except oci.exceptions.ProfileNotFound:
        raise InputError(
            f"profile {profile!r} is not in {path}", "write oci: {profile: NAME} with one that is"
        ) from None
    except (oci.exceptions.ClientError, configparser.Error, ValueError) as error:
        raise InputError(
            f"profile {profile!r} of {path} cannot be used: {first_line(error)}"
        ) from None
    return config


def new_signer(oci: ModuleType, config: Mapping[str, Any]) -> Any:
    """With the key of the profile's user, or the token that `oci session authenticate` wrote."""
    if token := config.get("security_token_file"):
        key = oci.signer.load_private_key_from_file(config["key_file"], config.get("pass_phrase"))
        return oci.auth.signers.SecurityTokenSigner(Path(token).expanduser().read_text(), key)
    return oci.signer.Signer(
        config["tenancy"],
        config["user"],
        config["fingerprint"],
        config.get("key_file"),
        config.get("pass_phrase"),
        config.get("key_content"),
    )
