"""CRI v1 as kubelet, crictl and critest use it: the image cases of critest, one by one, against
names of registries that a registry of this process serves through hosts.toml."""

import base64
import json
import os
import threading
import unittest
from urllib.parse import parse_qs

import grpc

from criclient import IMAGE, RUNTIME, SERVICES, Cri, message, spec
from fakeregistry import FakeRegistry, Handler
from harness import TestCase
from ociimage import Image, Index, Layer, tar

STAGING = "gcr.io/k8s-staging-cri-tools"


def image(name, user=None):
    config = {"Cmd": ["sh"]} if user is None else {"Cmd": ["sh"], "User": user}
    return Image([Layer(tar({"name": name.encode()}))], config={"config": config})


class CriTest(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        for host in ("gcr.io", "k8s.gcr.io", "registry.k8s.io"):
            os.makedirs(self.path("hosts", host))
            with open(self.path("hosts", host, "hosts.toml"), "w", encoding="utf-8") as file:
                file.write(f'server = "http://{self.registry.host}"\n')
        self.imaged = self.daemon("--hosts-dir", self.path("hosts"))
        self.cri = Cri(self.imaged.address)
        self.addCleanup(self.cri.close)
        self.client = self.imaged.client()

    def serve(self, name, content, *tags):
        return self.registry.repo(f"k8s-staging-cri-tools/{name}").add(content, *tags)

    def listed(self):
        return {one.id: one for one in self.cri.images()}

    def lifecycle(self, name, tags=None, digests=None):
        """What critest does around each case: gives the status between pull and removal."""
        self.assertIsNone(self.cri.status(name))
        reference = self.cri.pull(name)
        status = self.cri.status(name)
        self.assertEqual(status.id, reference)
        self.assertGreater(status.size, 0)
        if tags is not None:
            self.assertEqual(tags, list(status.repo_tags))
        if digests is not None:
            self.assertEqual(digests, list(status.repo_digests))
        self.cri.remove(status.id)
        self.assertIsNone(self.cri.status(name))
        return status


class Pulls(CriTest):
    def test_a_tag_is_the_one_name(self):
        self.serve("test-image-tag", image("tag"), "test")
        self.lifecycle(f"{STAGING}/test-image-tag:test", tags=[f"{STAGING}/test-image-tag:test"])

    def test_without_a_tag_it_is_latest(self):
        self.serve("test-image-latest", image("latest"), "latest")
        self.lifecycle(f"{STAGING}/test-image-latest", tags=[f"{STAGING}/test-image-latest:latest"])

    def test_by_digest_there_is_no_tag(self):
        made = self.serve("test-image-digest", image("digest"))
        name = f"{STAGING}/test-image-digest@{made.digest}"
        self.lifecycle(name, tags=[], digests=[name])

    def test_a_deadline_that_passes_says_so(self):
        self.serve("slow", image("slow"), "latest")
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.registry.fault("GET", "/manifests/", gate=gate)
        with self.assertRaises(grpc.RpcError) as caught:
            self.cri.pull(f"{STAGING}/slow", timeout=0.001)
        self.assertEqual(grpc.StatusCode.DEADLINE_EXCEEDED, caught.exception.code())

    def test_what_is_pulled_is_listed_at_once_and_what_is_removed_is_not(self):
        self.serve("test-image-1", image("1"), "latest")
        reference = self.cri.pull(f"{STAGING}/test-image-1")
        self.assertIn(reference, self.listed())
        self.cri.remove(f"{STAGING}/test-image-1")
        self.assertNotIn(reference, self.listed())
        self.assertIsNone(self.cri.status(reference))

    def test_a_tag_is_looked_up_again(self):
        first, second = image("one"), image("two")
        self.serve("moving", first, "latest")
        self.assertEqual(first.id, self.cri.pull(f"{STAGING}/moving"))
        self.serve("moving", second, "latest")
        self.assertEqual(second.id, self.cri.pull(f"{STAGING}/moving"))
        self.assertEqual(second.id, self.cri.status(f"{STAGING}/moving").id)
        old = self.cri.status(first.id)
        self.assertEqual([], list(old.repo_tags))
        self.assertEqual(1, len(old.repo_digests))

    def test_the_platform_is_an_annotation(self):
        other = Image([Layer(tar({"a": b"arm"}))], platform={"os": "linux", "architecture": "arm64"})
        self.serve("any", other, "latest")
        name = spec(f"{STAGING}/any", annotations={"imaged.platform": "linux/arm64", "of.no.use": "x"})
        self.assertEqual(other.id, self.cri.PullImage(image=name).image_ref)

    def test_an_unknown_runtime_handler_is_refused(self):
        self.serve("any", image("any"), "latest")
        self.assert_rpc_fails(
            "INVALID_ARGUMENT", "INVALID_ARGUMENT", self.cri.PullImage, image=spec(f"{STAGING}/any", runtime_handler="gvisor"), text="gvisor"
        )

    def test_a_runtime_handler_has_its_platform(self):
        imaged = self.daemon("--hosts-dir", self.path("hosts"), "--cri-runtime-handler", "runc", "--cri-runtime-handler", "arms=linux/arm64", name="h")
        cri = Cri(imaged.address)
        self.addCleanup(cri.close)
        other = Image([Layer(tar({"a": b"arm"}))], platform={"os": "linux", "architecture": "arm64"})
        here = image("here")
        self.serve("both", Index([(here, here.platform), (other, other.platform)]), "latest")
        for handler, wanted in (("", here), ("runc", here), ("arms", other)):
            answer = cri.PullImage(image=spec(f"{STAGING}/both", runtime_handler=handler))
            self.assertEqual(wanted.id, answer.image_ref, handler)
        self.assert_rpc_fails("INVALID_ARGUMENT", None, cri.PullImage, image=spec(f"{STAGING}/both", runtime_handler="arm"), text="arm")

    def test_a_registry_that_is_down_has_kubelets_word(self):
        self.registry.stop()
        error = self.assert_rpc_fails("UNAVAILABLE", "REGISTRY_UNAVAILABLE", self.cri.pull, f"{STAGING}/any")
        self.assertTrue(error.details().startswith("RegistryUnavailable: "), error.details())

    def test_no_image_is_named(self):
        for call in (self.cri.PullImage, self.cri.ImageStatus, self.cri.RemoveImage):
            self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_ARGUMENT", call)
            self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_ARGUMENT", call, image=spec(""))


class Statuses(CriTest):
    def test_every_name_gives_the_same(self):
        made = image("tags")
        for tag in ("1", "2", "3"):
            self.serve("test-image-tags", made, tag)
            self.cri.pull(f"{STAGING}/test-image-tags:{tag}")
        status = self.cri.status(made.id)
        self.assertEqual([f"{STAGING}/test-image-tags:{tag}" for tag in "123"], list(status.repo_tags))
        names = [made.id, made.id.removeprefix("sha256:"), made.id[7:19], *status.repo_tags, *status.repo_digests]
        self.assertGreater(len(status.repo_digests), 0)
        for name in names:
            self.assertEqual(status, self.cri.status(name), name)
        self.assertEqual(status, self.cri.ImageStatus(image=IMAGE.ImageSpec(image_ref=made.id)).image)
        self.assertEqual([status], self.cri.images())

    def test_the_user(self):
        for name, user, uid, username in (
            ("uid", "1002", 1002, ""),
            ("username", "www-data", None, "www-data"),
            ("uid-group", "1003:users", 1003, ""),
            ("username-group", "www-data:100", None, "www-data"),
            ("nobody", None, None, ""),
        ):
            self.serve(f"test-image-user-{name}", image(name, user), "latest")
            status = self.lifecycle(f"{STAGING}/test-image-user-{name}")
            self.assertEqual(uid, status.uid.value if status.HasField("uid") else None, name)
            self.assertEqual(username, status.username, name)

    def test_three_images_are_three(self):
        for name in "123":
            self.serve(f"test-image-{name}", image(name), "latest")
            self.cri.pull(f"{STAGING}/test-image-{name}")
        self.assertEqual([1, 1, 1], [len(one.repo_tags) for one in self.listed().values()])

    def test_what_is_no_name_is_not_here(self):
        for name in ("nothing", "UPPER/case", "a b", "sha256:" + "0" * 64, "0" * 64, "fff"):
            self.assertIsNone(self.cri.status(name), name)

    def test_verbose(self):
        self.serve("test-image-1", Image([Layer(tar({"a": b"1"}))], config={"config": {"Labels": {"k": 'v"'}}}), "latest")
        self.cri.pull(f"{STAGING}/test-image-1")
        answer = self.cri.ImageStatus(image=spec(f"{STAGING}/test-image-1"), verbose=True)
        info = json.loads(answer.info["info"])
        self.assertEqual({"k": 'v"'}, info["labels"])
        self.assertEqual(info["chainID"], info["imageSpec"]["rootfs"]["diff_ids"][0])
        self.assertEqual({}, dict(self.cri.ImageStatus(image=spec(f"{STAGING}/test-image-1")).info))

    def test_a_filter_leaves_the_one_that_it_names(self):
        for name in "12":
            self.serve(f"test-image-{name}", image(name), "latest")
            self.cri.pull(f"{STAGING}/test-image-{name}")
        wanted = self.cri.status(f"{STAGING}/test-image-2")
        for call in (self.cri.images, self.streamed):
            self.assertEqual([wanted], call(filter=IMAGE.ImageFilter(image=spec(f"{STAGING}/test-image-2"))))
            self.assertEqual([], call(filter=IMAGE.ImageFilter(image=spec("nothing"))))
            self.assertEqual(2, len(call(filter=IMAGE.ImageFilter(image=spec("")))))

    def streamed(self, **fields):
        found = []
        for answer in self.cri.StreamImages(**fields):
            self.assertGreater(len(answer.images), 0)
            found += answer.images
        return found

    def test_a_stream_has_each_image_once(self):
        self.assertEqual([], self.streamed())
        for n in range(70):
            self.serve(f"many-{n}", image(f"many {n}"), "latest")
            self.cri.pull(f"{STAGING}/many-{n}")
        found = self.streamed()
        self.assertEqual(70, len({one.id for one in found}))
        self.assertEqual(self.cri.images(), found)


class Removals(CriTest):
    def test_one_tag_takes_all(self):
        made = image("tags")
        names = [f"{STAGING}/test-image-tags:{tag}" for tag in "123"]
        for tag, name in zip("123", names):
            self.serve("test-image-tags", made, tag)
            self.cri.pull(name)
        self.cri.remove(names[0])
        for name in (*names, made.id):
            self.assertIsNone(self.cri.status(name), name)

    def test_of_all_registries(self):
        pause = self.registry.repo("pause").add(image("pause"), "3.9")
        names = ["k8s.gcr.io/pause:3.9", "registry.k8s.io/pause:3.9"]
        self.assertEqual([pause.id, pause.id], [self.cri.pull(name) for name in names])
        self.assertEqual(names, list(self.cri.status(pause.id).repo_tags))
        self.cri.remove(names[1])
        self.assertEqual({}, self.listed())

    def test_what_is_not_here_is_removed_all_the_same(self):
        for name in ("nothing", "UPPER/case", "sha256:" + "0" * 64):
            self.cri.remove(name)

    def test_five_at_a_time(self):
        made = self.serve("test-image-1", image("1"), "latest")
        self.cri.pull(f"{STAGING}/test-image-1")
        failed = []

        def remove():
            try:
                self.cri.remove(made.id)
                if self.cri.status(made.id) is not None:
                    failed.append("it is still there")
            except grpc.RpcError as error:
                failed.append(error.details())

        threads = [threading.Thread(target=remove) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failed)


class Credentials(CriTest):
    def setUp(self):
        super().setUp()
        self.private = FakeRegistry(user="alice", password="secret", auth="basic").__enter__()
        self.addCleanup(self.private.stop)
        self.made = self.private.repo("priv").add(image("private"), "1")
        self.name = f"{self.private.host}/priv:1"

    def test_user_and_password_and_both_in_one(self):
        pair = base64.b64encode(b"alice:secret").decode()
        padded = base64.b64encode(b"alice:secret\0\0").decode()
        for auth in (
            {"username": "alice", "password": "secret"},
            {"auth": pair},
            {"auth": padded},
            {"auth": pair, "server_address": f"http://{self.private.host}/v2/"},
            {"username": "alice", "password": "secret", "auth": "not base64, and not looked at"},
        ):
            self.assertEqual(self.made.id, self.cri.pull(self.name, auth=IMAGE.AuthConfig(**auth)), auth)
            self.cri.remove(self.made.id)

    def test_those_of_another_registry_are_not_used(self):
        auth = IMAGE.AuthConfig(username="alice", password="secret", server_address="other.example")
        self.assert_rpc_fails("UNAUTHENTICATED", None, self.cri.pull, self.name, auth=auth)

    def test_an_auth_that_is_none(self):
        for text in ("%%%", base64.b64encode(b"no colon").decode(), base64.b64encode(b"a:b\0c").decode()):
            self.assert_rpc_fails("INVALID_ARGUMENT", None, self.cri.pull, self.name, auth=IMAGE.AuthConfig(auth=text), text="auth")


class RefreshHandler(Handler):
    """Gives a token for the refresh token that it knows."""

    def token(self, owner):
        if self.command == "POST" and parse_qs(self.content.decode()).get("refresh_token") == [owner.refresh]:
            return self.reply(200, {"Content-Type": "application/json"}, b'{"access_token": "fresh", "expires_in": 300}')
        return super().token(owner)


class RefreshRegistry(FakeRegistry):
    handler, refresh = RefreshHandler, None


class Tokens(CriTest):
    def setUp(self):
        super().setUp()
        self.private = RefreshRegistry(user="alice", password="secret", auth="token").__enter__()
        self.addCleanup(self.private.stop)
        self.made = self.private.repo("priv").add(image("private"), "1")
        self.name = f"{self.private.host}/priv:1"

    def test_a_registry_token_is_sent_as_it_is(self):
        self.private.tokens["ready-made"] = {"priv"}
        self.assertEqual(self.made.id, self.cri.pull(self.name, auth=IMAGE.AuthConfig(registry_token="ready-made")))
        self.cri.remove(self.made.id)
        self.assert_rpc_fails("PERMISSION_DENIED", "ACCESS_DENIED", self.cri.pull, self.name, auth=IMAGE.AuthConfig(registry_token="another"))

    def test_an_identity_token_is_a_refresh_token(self):
        self.private.tokens["fresh"] = {"priv"}
        self.private.refresh = "kept"
        self.assertEqual(self.made.id, self.cri.pull(self.name, auth=IMAGE.AuthConfig(identity_token="kept")))
        self.cri.remove(self.made.id)
        self.assert_rpc_fails("UNAUTHENTICATED", None, self.cri.pull, self.name, auth=IMAGE.AuthConfig(identity_token="lost"))


class Disk(CriTest):
    def used(self):
        answer = self.cri.ImageFsInfo()
        [one] = answer.image_filesystems
        self.assertGreater(one.timestamp, 0)
        self.assertEqual(self.imaged.root, one.fs_id.mountpoint)
        return one.used_bytes.value, one.inodes_used.value

    def on_disk(self):
        total, files = 0, 0
        for top in ("content", "layers"):
            for directory, _, names in os.walk(os.path.join(self.imaged.root, top)):
                for name in names:
                    total += os.stat(os.path.join(directory, name)).st_size
                    files += 1
        return total, files

    def test_it_grows_and_shrinks_with_what_is_there(self):
        self.assertEqual((0, 0), self.used())
        for name in "12":
            self.serve(f"test-image-{name}", image(name), "latest")
            self.cri.pull(f"{STAGING}/test-image-{name}")
            self.assertEqual(self.on_disk(), self.used())
        self.cri.remove(f"{STAGING}/test-image-1")
        self.assertEqual(self.on_disk(), self.used())
        self.assertGreater(self.used()[0], 0)
        self.imaged.stop()
        self.imaged.start()
        self.cri.close()
        self.cri = Cri(self.imaged.address)
        self.wait_until(lambda: self.used() == self.on_disk(), "the store was counted after the start")
        self.cri.remove(f"{STAGING}/test-image-2")
        self.assertEqual((0, 0), self.used())


class Runtime(CriTest):
    def test_version(self):
        answer = self.cri.Version(version="")
        self.assertEqual(("0.1.0", "imaged", "v1"), (answer.version, answer.runtime_name, answer.runtime_api_version))
        self.assertRegex(answer.runtime_version, r"^\d+\.\d+")

    def test_status(self):
        conditions = {one.type: one for one in self.cri.Status().status.conditions}
        self.assertTrue(conditions["RuntimeReady"].status)
        self.assertFalse(conditions["NetworkReady"].status)
        self.assertEqual("ImageServiceOnly", conditions["NetworkReady"].reason)

    def test_a_network_that_is_ready_by_the_configuration(self):
        cri = Cri(self.daemon("--cri-network-ready", name="n").address)
        self.addCleanup(cri.close)
        self.assertEqual([True, True], [one.status for one in cri.Status().status.conditions])

    def test_there_are_no_containers(self):
        self.assertEqual([], list(self.cri.ListContainers().containers))
        self.assertEqual([], list(self.cri.ListPodSandbox().items))
        self.assertFalse(self.cri.RuntimeConfig().HasField("linux"))

    def test_the_rest_is_not_implemented(self):
        call = self.cri.channel.unary_unary("/runtime.v1.RuntimeService/RunPodSandbox")
        with self.assertRaises(grpc.RpcError) as caught:
            call(b"", timeout=20)
        self.assertEqual(grpc.StatusCode.UNIMPLEMENTED, caught.exception.code())


class Numbers(unittest.TestCase):
    """The protocol as it is published: message, field, number, type."""

    FACTS = """
        ImageSpec image 1 string, annotations 2 map, user_specified_image 18 string, runtime_handler 19 string, image_ref 20 string
        ImageFilter image 1 ImageSpec
        Image id 1 string, repo_tags 2 string*, repo_digests 3 string*, size 4 uint64, uid 5 Int64Value, username 6 string, spec 7 ImageSpec, pinned 8 bool
        ListImagesRequest filter 1 ImageFilter
        ListImagesResponse images 1 Image*
        StreamImagesRequest filter 1 ImageFilter
        StreamImagesResponse images 1 Image*
        ImageStatusRequest image 1 ImageSpec, verbose 2 bool
        ImageStatusResponse image 1 Image, info 2 map
        AuthConfig username 1 string, password 2 string, auth 3 string, server_address 4 string, identity_token 5 string, registry_token 6 string
        PullImageRequest image 1 ImageSpec, auth 2 AuthConfig, sandbox_config 3 PodSandboxConfig
        PullImageResponse image_ref 1 string
        RemoveImageRequest image 1 ImageSpec
        ImageFsInfoResponse image_filesystems 1 FilesystemUsage*, container_filesystems 2 FilesystemUsage*
        FilesystemUsage timestamp 1 int64, fs_id 2 FilesystemIdentifier, used_bytes 3 UInt64Value, inodes_used 4 UInt64Value
        FilesystemIdentifier mountpoint 1 string
        UInt64Value value 1 uint64
        Int64Value value 1 int64
        PodSandboxConfig metadata 1 PodSandboxMetadata, labels 6 map, annotations 7 map, linux 8 LinuxPodSandboxConfig
        PodSandboxMetadata name 1 string, uid 2 string, namespace 3 string, attempt 4 uint32
        LinuxPodSandboxConfig cgroup_parent 1 string
        VersionRequest version 1 string
        VersionResponse version 1 string, runtime_name 2 string, runtime_version 3 string, runtime_api_version 4 string
        StatusRequest verbose 1 bool
        StatusResponse status 1 RuntimeStatus, info 2 map, runtime_handlers 3 RuntimeHandler*, features 4 RuntimeFeatures
        RuntimeStatus conditions 1 RuntimeCondition*
        RuntimeCondition type 1 string, status 2 bool, reason 3 string, message 4 string
        ListContainersResponse containers 1 Container*
        ListPodSandboxResponse items 1 PodSandbox*
        RuntimeConfigResponse linux 1 LinuxRuntimeConfiguration
        LinuxRuntimeConfiguration cgroup_driver 1 CgroupDriver
        RuntimeHandler name 1 string, features 2 RuntimeHandlerFeatures
        RuntimeHandlerFeatures recursive_read_only_mounts 1 bool, user_namespaces 2 bool
        RuntimeFeatures supplemental_groups_policy 1 bool, user_namespaces_host_network 2 bool
        ListContainersRequest filter 1 ContainerFilter
        ContainerFilter id 1 string, state 2 ContainerStateValue, pod_sandbox_id 3 string, label_selector 4 map
        ContainerStateValue state 1 ContainerState
        ContainerMetadata name 1 string, attempt 2 uint32
        Container id 1 string, pod_sandbox_id 2 string, metadata 3 ContainerMetadata, image 4 ImageSpec, image_ref 5 string, state 6 ContainerState, created_at 7 int64, labels 8 map, annotations 9 map, image_id 10 string
        ListPodSandboxRequest filter 1 PodSandboxFilter
        PodSandboxFilter id 1 string, state 2 PodSandboxStateValue, label_selector 3 map
        PodSandboxStateValue state 1 PodSandboxState
        PodSandbox id 1 string, metadata 2 PodSandboxMetadata, state 3 PodSandboxState, created_at 4 int64, labels 5 map, annotations 6 map, runtime_handler 7 string
        RemoveImageResponse
        ImageFsInfoRequest
        RuntimeConfigRequest
    """

    VALUES = {
        "ContainerState": ["CONTAINER_CREATED", "CONTAINER_RUNNING", "CONTAINER_EXITED", "CONTAINER_UNKNOWN"],
        "PodSandboxState": ["SANDBOX_READY", "SANDBOX_NOTREADY"],
        "CgroupDriver": ["SYSTEMD", "CGROUPFS"],
    }

    @staticmethod
    def kind(field):
        if field.message_type is not None:
            name = "map" if field.message_type.GetOptions().map_entry else field.message_type.name
        else:
            name = field.enum_type.name if field.enum_type else {3: "int64", 4: "uint64", 8: "bool", 9: "string", 13: "uint32"}[field.type]
        return name + ("*" if field.label == field.LABEL_REPEATED and name != "map" else "")

    def test_numbers_and_types_are_the_protocols(self):
        for line in self.FACTS.strip().splitlines():
            name, _, fields = line.strip().partition(" ")
            wanted = dict(field.strip().split(" ", 1) for field in fields.split(",") if field)
            found = {f.name: f"{f.number} {self.kind(f)}" for f in message(name).DESCRIPTOR.fields}
            self.assertEqual(wanted, found, name)

    def test_no_message_and_no_enumeration_lacks_its_facts(self):
        files = (IMAGE.DESCRIPTOR, RUNTIME.DESCRIPTOR)
        named = [line.split()[0] for line in self.FACTS.strip().splitlines()]
        self.assertEqual(sorted(name for file in files for name in file.message_types_by_name), sorted(named))
        found = {enum.name: {v.name: v.number for v in enum.values} for file in files for enum in file.enum_types_by_name.values()}
        self.assertEqual({name: {value: n for n, value in enumerate(values)} for name, values in self.VALUES.items()}, found)

    def test_methods(self):
        self.assertEqual(
            [
                "runtime.v1.ImageService: ListImages StreamImages ImageStatus PullImage RemoveImage ImageFsInfo",
                "runtime.v1.RuntimeService: Version Status ListContainers ListPodSandbox RuntimeConfig",
            ],
            [f"{s.full_name}: {' '.join(m.name for m in s.methods)}" for s in SERVICES],
        )
