"""Key management: vaults, and keys behind each vault's own management endpoint."""

from __future__ import annotations

from datetime import timedelta

from pgherd.testing.oci import deletion
from pgherd.testing.oci.calls import Answer, Request, Service, shown
from pgherd.testing.oci.incoming import MANAGEMENT
from pgherd.testing.oci.refusals import incorrect_state, invalid, limit_exceeded, not_found
from pgherd.testing.oci.world import Resource

SOONEST = timedelta(days=7)
_AES = (16, 24, 32)


class Vaults(Service):
    """CREATING -> ACTIVE -> PENDING_DELETION -> DELETED; deleted only by schedule."""

    package = "key_management"

    def create_vault(self, request: Request) -> Answer:
        self.compartment(request.body["compartmentId"])
        if request.body["vaultType"] == "EXTERNAL":
            raise invalid("the local OCI has no external vaults")
        if request.body["vaultType"] == "VIRTUAL_PRIVATE":
            raise limit_exceeded("virtual-private-vault-count is 0 in this tenancy")
        name = self.world.new_id("vault", request.region)[-12:]
        id = self.world.new_id("vault", request.region, name)
        endpoint = f"{self.world.url}/r/{request.region}/key_management"
        body = {
            **request.body,
            "lifecycleState": "CREATING",
            "managementEndpoint": f"{endpoint}/{MANAGEMENT}/{name}",
            "cryptoEndpoint": f"{endpoint}/crypto/{name}",
            "wrappingkeyId": self.world.new_id("key", request.region, name),
        }
        vault = self.world.add("vault", request.region, body, id)
        self.world.start([vault], lambda: self.world.touch(vault, lifecycleState="ACTIVE"))
        return shown(vault)

    def get_vault(self, request: Request) -> Answer:
        return shown(self.find(request, "vault", request.path["vaultId"], gone=True))

    def list_vaults(self, request: Request) -> Answer:
        return self.listing(request, "vault", gone=True)

    def update_vault(self, request: Request) -> Answer:
        vault = self.find(request, "vault", request.path["vaultId"])
        if vault.state != "ACTIVE":
            raise incorrect_state(f"the vault is {vault.state}")
        self.world.touch(vault, **request.body)
        return shown(vault)

    def schedule_vault_deletion(self, request: Request) -> Answer:
        vault = self.find(request, "vault", request.path["vaultId"])
        deletion.schedule(self.world, request, vault, SOONEST, self._inside(vault))
        return shown(vault)

    def cancel_vault_deletion(self, request: Request) -> Answer:
        vault = self.find(request, "vault", request.path["vaultId"])
        deletion.cancel(self.world, vault, self._inside(vault))
        return shown(vault)

    def _inside(self, vault: Resource) -> list[Resource]:
        return [
            each
            for kind in ("key", "secret")
            for each in self.world.of(kind, vault.region)
            if each.body["vaultId"] == vault.id
        ]


class Keys(Service):
    """CREATING -> ENABLED <-> DISABLED -> PENDING_DELETION -> DELETED."""

    package = "key_management"

    def create_key(self, request: Request) -> Answer:
        vault = self._vault(request)
        if vault.state != "ACTIVE":
            raise incorrect_state(f"the vault is {vault.state}")
        self.compartment(request.body["compartmentId"])
        shape = request.body["keyShape"]
        if shape["algorithm"] == "AES" and shape["length"] not in _AES:
            raise invalid(f"keyShape.length of AES is in bytes, one of {_AES}")
        middle = vault.id.split(".")[-2]
        id = self.world.new_id("key", request.region, middle)
        body = {
            "protectionMode": "HSM",
            "isAutoRotationEnabled": False,
            **request.body,
            "vaultId": vault.id,
            "algorithm": shape["algorithm"],
            "currentKeyVersion": self.world.new_id("keyversion", request.region, middle),
            "lifecycleState": "CREATING",
        }
        key = self.world.add("key", request.region, body, id)
        self.world.start([key], lambda: self.world.touch(key, lifecycleState="ENABLED"))
        return shown(key)

    def get_key(self, request: Request) -> Answer:
        return shown(self._key(request, gone=True))

    def list_keys(self, request: Request) -> Answer:
        vault = self._vault(request)
        answer = self.listing(request, "key", "length", gone=True)
        return Answer([body for body in answer.body if body["vaultId"] == vault.id])

    def update_key(self, request: Request) -> Answer:
        key = self._key(request)
        if key.state not in ("ENABLED", "DISABLED"):
            raise incorrect_state(f"the key is {key.state}")
        self.world.touch(key, **request.body)
        return shown(key)

    def enable_key(self, request: Request) -> Answer:
        return self._switch(request, "DISABLED", "ENABLING", "ENABLED")

    def disable_key(self, request: Request) -> Answer:
        return self._switch(request, "ENABLED", "DISABLING", "DISABLED")

    def schedule_key_deletion(self, request: Request) -> Answer:
        key = self._key(request)
        deletion.schedule(self.world, request, key, SOONEST)
        return shown(key)

    def cancel_key_deletion(self, request: Request) -> Answer:
        key = self._key(request)
        deletion.cancel(self.world, key)
        return shown(key)

    def _switch(self, request: Request, before: str, during: str, after: str) -> Answer:
        key = self._key(request)
        if key.state != before:
            raise incorrect_state(f"the key is {key.state}")
        self.world.touch(key, lifecycleState=during)
        self.world.start([key], lambda: self.world.touch(key, lifecycleState=after))
        return shown(key)

    def _vault(self, request: Request) -> Resource:
        """The vault whose own endpoint was called."""
        for vault in self.world.of("vault", request.region):
            if vault.id.split(".")[-2] == request.vault and not vault.is_gone:
                return vault
        raise not_found(f"vault {request.vault}")

    def _key(self, request: Request, *, gone: bool = False) -> Resource:
        vault = self._vault(request)
        key = self.find(request, "key", request.path["keyId"], gone=gone)
        if key.body["vaultId"] != vault.id:
            raise not_found(f"key {key.id} in this vault")
        return key
