"""Secrets: the vault service writes them, the secrets service reads what is in them."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import timedelta
from typing import Any

from pgherd.testing.oci import deletion
from pgherd.testing.oci.calls import Answer, Request, Service, accepted, shown
from pgherd.testing.oci.refusals import (
    Refused,
    conflict,
    incorrect_state,
    invalid,
    missing,
    not_found,
)
from pgherd.testing.oci.world import Body, Resource

SOONEST = timedelta(days=1)
LARGEST = 25_600


class Secrets(Service):
    """CREATING -> ACTIVE -> UPDATING -> ACTIVE -> PENDING_DELETION -> DELETED."""

    package = "vault"

    def create_secret(self, request: Request) -> Answer:
        body = dict(request.body)
        self.compartment(body["compartmentId"])
        self.ready("vault", body["vaultId"], request.region, "ACTIVE")
        key = self.ready("key", body["keyId"], request.region, "ENABLED")
        if key.body["vaultId"] != body["vaultId"]:
            raise invalid("the key is in another vault")
        if not re.fullmatch(r"[\w.-]{1,255}", body["secretName"]):
            raise invalid(f"secretName {body['secretName']!r} is not 1..255 of a-z A-Z 0-9 . - _")
        self._free_name(body["vaultId"], body["secretName"])
        if body.get("secretContent") is None and not body.get("enableAutoGeneration"):
            raise missing("secretContent is needed without enableAutoGeneration")
        content = body.pop("secretContent", None) or {}
        value = decoded(content)
        full = {
            **body,
            "lifecycleState": "CREATING",
            "currentVersionNumber": 1,
            "isAutoGenerationEnabled": body.pop("enableAutoGeneration", False),
        }
        full.pop("enableAutoGeneration", None)
        secret = self.world.add("secret", request.region, full)
        secret.hidden["versions"] = [self._version(1, content, value)]
        self.world.start([secret], lambda: self.world.touch(secret, lifecycleState="ACTIVE"))
        return shown(secret)

    def get_secret(self, request: Request) -> Answer:
        return shown(self.find(request, "secret", request.path["secretId"], gone=True))

    def list_secrets(self, request: Request) -> Answer:
        answer = self.listing(request, "secret", "name", gone=True)
        name = request.query.get("name")
        return Answer([body for body in answer.body if name in (None, body["secretName"])])

    def update_secret(self, request: Request) -> Answer:
        secret = self._active(request)
        body = dict(request.body)
        content = body.pop("secretContent", None)
        wanted = body.get("currentVersionNumber")
        if content is not None and wanted is not None:
            raise invalid("either secretContent or currentVersionNumber, not both")
        if content is not None:
            number = len(secret.hidden["versions"]) + 1
            value = decoded(content)
            if any(each["value"] == value for each in secret.hidden["versions"]):
                raise conflict("the content is the same as that of another version")
            secret.hidden["versions"].append(self._version(number, content, value))
            body["currentVersionNumber"] = number
        elif wanted is not None and not 1 <= wanted <= len(secret.hidden["versions"]):
            raise not_found(f"version {wanted} of {secret.id}")
        self.world.touch(secret, **body, lifecycleState="UPDATING")
        self.world.start([secret], lambda: self.world.touch(secret, lifecycleState="ACTIVE"))
        return shown(secret)

    def list_secret_versions(self, request: Request) -> Answer:
        secret = self.find(request, "secret", request.path["secretId"])
        return Answer(
            [
                {
                    "secretId": secret.id,
                    "versionNumber": version["number"],
                    "timeCreated": version["at"],
                    "contentType": "BASE64",
                    "name": version["name"],
                    "stages": stages(secret, version["number"]),
                }
                for version in reversed(secret.hidden["versions"])
            ]
        )

    def schedule_secret_deletion(self, request: Request) -> Answer:
        secret = self.find(request, "secret", request.path["secretId"])
        deletion.schedule(self.world, request, secret, SOONEST)
        return accepted(secret)

    def cancel_secret_deletion(self, request: Request) -> Answer:
        secret = self.find(request, "secret", request.path["secretId"])
        deletion.cancel(self.world, secret)
        return accepted(secret)

    def _active(self, request: Request) -> Resource:
        secret = self.find(request, "secret", request.path["secretId"])
        if secret.state != "ACTIVE":
            raise incorrect_state(f"the secret is {secret.state}")
        return secret

    def _free_name(self, vault: str, name: str) -> None:
        """A name stays taken until the secret is really gone."""
        for each in self.world.of("secret"):
            same = each.body["vaultId"] == vault and each.body["secretName"] == name
            if same and not each.is_gone:
                raise Refused(409, "Conflict", f"A secret named {name} exists in this vault")

    def _version(self, number: int, content: Body, value: bytes) -> Body:
        name = content.get("name")
        return {"number": number, "name": name, "at": self.world.stamp(), "value": value}


class Bundles(Service):
    """What is in a secret, for who may read it."""

    package = "secrets"

    def get_secret_bundle(self, request: Request) -> Answer:
        return self._bundle(request, request.path["secretId"])

    def get_secret_bundle_by_name(self, request: Request) -> Answer:
        for each in self.world.of("secret", request.region):
            if (
                each.body["secretName"] == request.query["secretName"]
                and each.body["vaultId"] == request.query["vaultId"]
                and not each.is_gone
            ):
                return self._bundle(request, each.id)
        raise not_found(f"secret {request.query['secretName']}")

    def _bundle(self, request: Request, id: str) -> Answer:
        secret = self.find(request, "secret", id)
        if secret.state not in ("ACTIVE", "UPDATING"):
            raise not_found(f"secret {id} is {secret.state}")
        version = _chosen(secret, request.query)
        body = {
            "secretId": secret.id,
            "versionNumber": version["number"],
            "versionName": version["name"],
            "timeCreated": version["at"],
            "stages": stages(secret, version["number"]),
            "metadata": secret.body.get("metadata"),
            "secretBundleContent": {
                "contentType": "BASE64",
                "content": base64.b64encode(version["value"]).decode(),
            },
        }
        return Answer(body, secret)


def _chosen(secret: Resource, query: Any) -> Body:
    number = query.get("versionNumber", secret.body["currentVersionNumber"])
    stage = query.get("stage", "CURRENT")
    for version in secret.hidden["versions"]:
        if "secretVersionName" in query:
            right = version["name"] == query["secretVersionName"]
        elif "versionNumber" in query or stage == "CURRENT":
            right = version["number"] == number
        else:
            right = stage in stages(secret, version["number"])
        if right:
            found: Body = version
            return found
    raise not_found(f"that version of {secret.id}")


def stages(secret: Resource, number: int) -> list[str]:
    """What a version is now."""
    current = secret.body["currentVersionNumber"]
    latest = len(secret.hidden["versions"])
    found = ["CURRENT"] if number == current else []
    found += ["LATEST"] if number == latest else []
    found += ["PREVIOUS"] if number == current - 1 else []
    return found or ["DEPRECATED"]


def decoded(content: Body) -> bytes:
    """The secret itself; it must be sent as base64."""
    text = content.get("content")
    if not text:
        raise missing("secretContent.content is needed")
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise invalid("secretContent.content is no base64") from None
    if not 1 <= len(value) <= LARGEST:
        raise invalid(f"a secret has 1..{LARGEST} bytes")
    return value


def readable(service: Service, region: str, id: str, version: str) -> bytes:
    """The content that another service is told to use."""
    secret = service.ready("secret", id, region, "ACTIVE")
    if not version.isdecimal():
        raise invalid(f"secretVersion {version!r} is no version number")
    for each in secret.hidden["versions"]:
        if each["number"] == int(version):
            value: bytes = each["value"]
            return value
    raise not_found(f"version {version} of secret {id}")
