"""Core services, compute: images, instances with their VNIC and cloud-init."""

from __future__ import annotations

import base64
import binascii

from pgherd.testing.oci import addresses
from pgherd.testing.oci.calls import Answer, Request, Service, accepted, shown
from pgherd.testing.oci.limits import Limits
from pgherd.testing.oci.network_use import Use
from pgherd.testing.oci.refusals import incorrect_state, invalid, missing, not_found
from pgherd.testing.oci.world import Body, Resource, World

LARGEST_METADATA = 32_000
_ACTIONS = {
    "STOP": ("RUNNING", "STOPPING", "STOPPED"),
    "SOFTSTOP": ("RUNNING", "STOPPING", "STOPPED"),
    "START": ("STOPPED", "STARTING", "RUNNING"),
    "RESET": ("RUNNING", "STARTING", "RUNNING"),
    "SOFTRESET": ("RUNNING", "STARTING", "RUNNING"),
}
_SYSTEMS = (("Oracle Linux", "9"), ("Oracle Linux", "8"), ("Canonical Ubuntu", "26.04"))
_FLEXIBLE = ("VM.Standard3.Flex", "VM.Standard.E4.Flex", "VM.Standard.E5.Flex")
_SHAPES = (*_FLEXIBLE, "VM.Standard.E6.Flex", "VM.Standard.A1.Flex")
# What is fixed at launch.
_KEPT = ("user_data", "ssh_authorized_keys")


class Compute(Service):
    """PROVISIONING -> RUNNING <-> STOPPED, TERMINATING -> TERMINATED."""

    package = "core"

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world)
        self.limits = limits

    def list_images(self, request: Request) -> Answer:
        self.compartment(request.query["compartmentId"], change=False)
        wanted = {
            key: value
            for key, value in request.query.items()
            if key in ("displayName", "operatingSystem", "operatingSystemVersion", "lifecycleState")
        }
        found = [
            body
            for body in self._images(request.region)
            if all(body[key] == value for key, value in wanted.items())
        ]
        if "arm" in str(request.query.get("shape", "")).lower():
            found = []
        return Answer(found)

    def get_image(self, request: Request) -> Answer:
        return Answer(self._image(request.region, request.path["imageId"]))

    def _image(self, region: str, id: str) -> Body:
        for body in self._images(region):
            if body["id"] == id:
                return body
        raise not_found(f"image {id}")

    def _images(self, region: str) -> list[Body]:
        created = self.world.resources[self.world.tenancy].body["timeCreated"]
        key = self.world.new_id("image", region).split(".")[3]
        return [
            {
                "id": f"ocid1.image.oc1.{key}.aaaaaaaa{name}{version}".lower()
                .replace(" ", "")
                .replace(f"{version}", version.replace(".", "")),
                # Images of the platform belong to no compartment of the tenancy.
                "compartmentId": self.world.tenancy,
                "createImageAllowed": True,
                "displayName": f"{name.replace(' ', '-')}-{version}-2026.10.20-0",
                "lifecycleState": "AVAILABLE",
                "operatingSystem": name,
                "operatingSystemVersion": version,
                "timeCreated": created,
            }
            for name, version in _SYSTEMS
        ]

    def launch_instance(self, request: Request) -> Answer:
        body = dict(request.body)
        self.compartment(body["compartmentId"])
        if body["availabilityDomain"] not in self.world.domains(request.region):
            raise invalid(f"availabilityDomain {body['availabilityDomain']!r} does not exist")
        if body.get("shape") not in _SHAPES:
            raise invalid(f"shape {body.get('shape')!r} is not offered")
        if body["shape"].endswith(".Flex") and not (body.get("shapeConfig") or {}).get("ocpus"):
            raise missing("shapeConfig.ocpus is needed for a flexible shape")
        image = (body.get("sourceDetails") or {}).get("imageId") or body.get("imageId")
        if image is None:
            raise missing("sourceDetails.imageId is needed")
        self._image(request.region, image)
        _metadata(body.get("metadata") or {})
        vnic = self._vnic(request, body)
        self.limits.check("instance", request.region)
        instance = self._launched(request, body, image)
        self._attached(instance, vnic)
        return shown(instance)

    def _launched(self, request: Request, body: Body, image: str) -> Resource:
        dropped = ("createVnicDetails", "subnetId", "hostnameLabel", "availabilityConfig")
        full = {
            "displayName": f"instance{self.world.now():%Y%m%d%H%M%S}",
            "faultDomain": "FAULT-DOMAIN-1",
            "metadata": {},
            "launchMode": "PARAVIRTUALIZED",
            **{key: value for key, value in body.items() if key not in dropped},
            "imageId": image,
            "region": request.region,
            "lifecycleState": "PROVISIONING",
        }
        full.pop("agentConfig", None)
        full.pop("platformConfig", None)
        instance = self.world.add("instance", request.region, full)
        self.world.start([instance], lambda: self.world.touch(instance, lifecycleState="RUNNING"))
        return instance

    def _vnic(self, request: Request, body: Body) -> Body:
        details = dict(body.get("createVnicDetails") or {})
        subnet_id = details.get("subnetId") or body.get("subnetId")
        if subnet_id is None:
            raise missing("createVnicDetails.subnetId is needed")
        subnet = self.ready("subnet", subnet_id, request.region)
        for id in details.get("nsgIds") or []:
            group = self.ready("network_security_group", id, request.region)
            if group.body["vcnId"] != subnet.body["vcnId"]:
                raise invalid(f"network security group {id} is in another VCN")
        if details.get("hostnameLabel") and not subnet.body.get("dnsLabel"):
            raise invalid("hostnameLabel needs a subnet with a dnsLabel")
        public = details.pop("assignPublicIp", not subnet.body["prohibitPublicIpOnVnic"])
        if public and subnet.body["prohibitPublicIpOnVnic"]:
            raise invalid("the subnet prohibits public addresses")
        used = Use(self.world).addresses(subnet.id)
        ip = addresses.take(subnet.body["cidrBlock"], used, details.get("privateIp"))
        return details | {"subnetId": subnet.id, "privateIp": ip}

    def _attached(self, instance: Resource, vnic: Body) -> None:
        common = {
            "availabilityDomain": instance.body["availabilityDomain"],
            "compartmentId": instance.body["compartmentId"],
        }
        state = {"lifecycleState": "AVAILABLE", "isPrimary": True}
        card = self.world.add("vnic", instance.region, common | vnic | state)
        attachment = {
            "instanceId": instance.id,
            "vnicId": card.id,
            "subnetId": vnic["subnetId"],
            "lifecycleState": "ATTACHED",
        }
        made = self.world.add("vnic_attachment", instance.region, common | attachment)
        instance.hidden |= {"vnic": card, "attachment": made}

    def get_instance(self, request: Request) -> Answer:
        return shown(self.find(request, "instance", request.path["instanceId"], gone=True))

    def list_instances(self, request: Request) -> Answer:
        return self.listing(request, "instance", gone=True)

    def update_instance(self, request: Request) -> Answer:
        instance = self.find(request, "instance", request.path["instanceId"])
        if instance.state not in ("RUNNING", "STOPPED"):
            raise incorrect_state(f"the instance is {instance.state}")
        changes = {key: value for key, value in request.body.items() if value is not None}
        if "metadata" in changes:
            _metadata(changes["metadata"])
            before = instance.body["metadata"]
            for key in _KEPT:
                if before.get(key) != changes["metadata"].get(key):
                    raise invalid(f"metadata.{key} is fixed at launch")
        self.world.touch(instance, **changes)
        return shown(instance)

    def instance_action(self, request: Request) -> Answer:
        instance = self.find(request, "instance", request.path["instanceId"])
        action = request.query["action"]
        if action not in _ACTIONS:
            raise invalid(f"action {action!r} must be one of {sorted(_ACTIONS)}")
        before, during, after = _ACTIONS[action]
        if instance.state != before:
            raise incorrect_state(f"the instance is {instance.state}, not {before}")
        self.world.touch(instance, lifecycleState=during)
        self.world.start([instance], lambda: self.world.touch(instance, lifecycleState=after))
        return shown(instance)

    def terminate_instance(self, request: Request) -> Answer:
        instance = self.find(request, "instance", request.path["instanceId"])
        if instance.state not in ("RUNNING", "STOPPED"):
            raise incorrect_state(f"the instance is {instance.state}")
        self.world.touch(instance, lifecycleState="TERMINATING")

        def done() -> None:
            self.world.touch(instance, lifecycleState="TERMINATED")
            if "vnic" in instance.hidden:
                self.world.touch(instance.hidden["vnic"], lifecycleState="TERMINATED")
                self.world.touch(instance.hidden["attachment"], lifecycleState="DETACHED")

        self.world.start([instance], done)
        return accepted()

    def list_vnic_attachments(self, request: Request) -> Answer:
        return self.listing(request, "vnic_attachment")

    def get_vnic(self, request: Request) -> Answer:
        return shown(self.find(request, "vnic", request.path["vnicId"]))


def _metadata(metadata: Body) -> None:
    size = sum(len(key) + len(value) for key, value in metadata.items())
    if size > LARGEST_METADATA:
        raise invalid(f"metadata has {size} bytes, at most {LARGEST_METADATA} are allowed")
    if "user_data" in metadata:
        try:
            base64.b64decode(metadata["user_data"], validate=True)
        except binascii.Error:
            raise invalid("metadata.user_data is no base64") from None
