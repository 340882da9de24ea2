"""The store from outside: usage agrees with the disk, damage is found and healed,
events come in order."""

import base64
import json
import os
import tarfile
import threading

from fakeregistry import FakeRegistry
from harness import TestCase, blob_path, incomplete
from ociimage import Image, Index, Layer, Repo, random_bytes, tar, write_layout


def bytes_below(path):
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(path) for f in files)


class Store(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def pull(self, name, *seeds):
        image = Image([Layer(tar({f"f{seed}": random_bytes(100000, seed)}), level=1) for seed in seeds])
        self.registry.repo(name).add(image, "1")
        self.client.pull(f"{self.registry.host}/{name}:1")
        return image

    def damage(self, digest, how):
        path = blob_path(self.imaged.root, digest)
        if how == "missing":
            os.unlink(path)
            return
        os.chmod(path, 0o600)
        with open(path, "r+b") as file:
            if how == "flipped":
                file.seek(10)
                byte = file.read(1)
                file.seek(10)
                file.write(bytes([byte[0] ^ 1]))
            elif how == "short":
                file.truncate(5)

    # -- usage

    def assert_usage_agrees(self):
        usage = self.client.GetDiskUsage()
        content = os.path.join(self.imaged.root, "content")
        self.assertEqual(bytes_below(content), usage.content_bytes)
        self.assertEqual(sum(len(files) for _, _, files in os.walk(content)), usage.blob_count)
        return usage

    def test_usage_agrees_with_the_disk(self):
        self.assert_usage_agrees()
        first, _ = self.pull("a", 2, 1), self.pull("b", 2, 3)
        usage = self.assert_usage_agrees()
        self.assertEqual((2, 300000), (usage.image_count, usage.layers_size))
        self.assertEqual(0, usage.ingest_bytes)
        self.client.RemoveImage(image=first.id, force=True)
        self.assertEqual(200000, self.assert_usage_agrees().layers_size)
        self.client.PruneImages(all=True)
        self.assertEqual(0, self.assert_usage_agrees().content_bytes)

    def test_usage_counts_unfinished_bytes(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        layer = Layer(tar({"x": random_bytes(4 << 20, 1)}), level=1)
        self.registry.repo("a").add(Image([layer]), "1")
        self.registry.fault("GET", layer.blob.digest, cut=2 << 20, gate=gate)
        call = self.client.Pull(reference=f"{self.registry.host}/a:1")
        for event in call:
            if event.WhichOneof("event") == "layer" and event.layer.current >= 1 << 20:
                break
        self.assertGreaterEqual(self.client.GetDiskUsage().ingest_bytes, 1 << 20)
        gate.set()
        list(call)
        self.assertEqual(0, self.client.GetDiskUsage().ingest_bytes)

    # -- check and repair

    def test_clean_store_has_no_findings(self):
        self.pull("a", 1, 2)
        findings, summary = self.client.check()
        self.assertEqual([], list(findings))
        self.assertEqual(4, summary.blobs)
        self.assertEqual(self.client.GetDiskUsage().content_bytes, summary.bytes)
        said = self.imaged.ctl("system", "check")
        self.assertEqual(0, said.returncode)

    def test_damage_is_found_and_repaired(self):
        for how, kind, quick in (("flipped", 1, False), ("short", 1, True), ("missing", 2, True)):
            for part in ("layer", "config", "manifest"):
                with self.subTest(how=how, part=part):
                    image = self.pull("a", 1, 2)
                    digest = {"layer": image.layers[1].blob.digest, "config": image.id, "manifest": image.digest}[part]
                    self.damage(digest, how)
                    for fast in {quick, False}:
                        findings, _ = self.client.check(quick=fast)
                        self.assertEqual([(kind, digest)], [(f.kind, f.digest) for f in findings if f.kind in (1, 2)])
                        self.assertEqual([image.id], list(findings[0].images))
                    said = self.imaged.ctl("system", "check", check=False)
                    self.assertEqual(1, said.returncode)
                    self.assertIn(digest[:19], said.stdout + said.stderr)
                    findings, summary = self.client.check(repair=True)
                    self.assertEqual([True], [f.repaired for f in findings if f.kind in (1, 2)], findings)
                    self.assertEqual(1, summary.repaired)
                    self.assert_clean(self.client)
                    self.assertEqual([], incomplete(self.imaged.root, self.client))

    def test_index_is_repaired(self):
        one, two = Image([Layer(tar({"a": b"1"}))]), Image([Layer(tar({"b": b"2"}))], platform={"os": "linux", "architecture": "arm64"})
        index = Index([(one, one.platform), (two, two.platform)])
        self.registry.repo("multi").add(index, "1")
        self.client.pull(f"{self.registry.host}/multi:1")
        for how, kind in (("flipped", 1), ("missing", 2)):
            self.damage(index.digest, how)
            findings, _ = self.client.check(repair=True)
            self.assertEqual([(kind, index.digest, True)], [(f.kind, f.digest, f.repaired) for f in findings], findings)
            self.assert_clean(self.client)

    def test_repair_takes_the_next_source_that_works(self):
        image = self.pull("a", 1)
        self.registry.repo("b").add(image, "1")
        self.client.pull(f"{self.registry.host}/b:1")
        for gone in ("a", "b"):
            with self.subTest(gone=gone):
                self.registry.clear()
                self.registry.fault("*", f"/v2/{gone}/", status=404)
                self.damage(image.layers[0].blob.digest, "flipped")
                findings, _ = self.client.check(repair=True)
                self.assertEqual([True], [f.repaired for f in findings], findings)

    def test_repair_that_fetches_wrong_bytes_keeps_what_there_was(self):
        image = self.pull("a", 1)
        blob = image.layers[0].blob
        self.damage(blob.digest, "flipped")
        with open(blob_path(self.imaged.root, blob.digest), "rb") as file:
            damaged = file.read()
        self.registry.fault("GET", "/blobs/", body=b"x" * blob.size)
        findings, _ = self.client.check(repair=True)
        self.assertEqual([False], [f.repaired for f in findings])
        with open(blob_path(self.imaged.root, blob.digest), "rb") as file:
            self.assertEqual(damaged, file.read())

    def private(self, auth):
        """An image of a registry that wants a login, and one of another that does, too."""
        found = []
        for n in (1, 2):
            registry = FakeRegistry(auth=auth, user=f"user{n}", password=f"secret{n}").__enter__()
            self.addCleanup(registry.stop)
            image = Image([Layer(tar({f"f{auth}{n}": random_bytes(1000, n)}))])
            registry.repo("a").add(image, "1")
            login = {"server_address": registry.host, "username": f"user{n}", "password": f"secret{n}"}
            self.client.pull(f"{registry.host}/a:1", credentials=login)
            found.append((registry, image, login))
        return found

    def test_repair_from_registries_that_want_a_login(self):
        for auth in ("basic", "bearer"):
            with self.subTest(auth=auth):
                found = self.private(auth)
                for _, image, _ in found:
                    self.damage(image.layers[0].blob.digest, "flipped")
                findings, _ = self.client.check(repair=True)
                self.assertEqual([False, False], [f.repaired for f in findings])
                self.assertRegex(findings[0].repair_error, "no basic auth credentials|unauthorized")
                findings, summary = self.client.check(repair=True, credentials=[login for _, _, login in found])
                self.assertEqual(([True, True], 2), ([f.repaired for f in findings], summary.repaired), findings)
                self.client.PruneImages(all=True)

    def test_credentials_that_name_no_registry_are_not_shown_to_any(self):
        ((registry, image, login), _) = self.private("basic")
        registry.clear()
        self.damage(image.layers[0].blob.digest, "flipped")
        for server in ("", "elsewhere.example"):
            findings, _ = self.client.check(repair=True, credentials=[{**login, "server_address": server}])
            self.assertEqual([False], [f.repaired for f in findings])
        self.assertFalse([r for r in registry.requests if "Authorization" in r.headers])

    def test_cli_repairs_with_the_logins_of_the_user(self):
        found = self.private("bearer")
        auths = {
            registry.host: {"auth": base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()}
            for registry, _, login in found
        }
        os.makedirs(self.path("config"))
        with open(self.path("config", "config.json"), "w", encoding="ascii") as file:
            json.dump({"auths": auths}, file)
        for _, image, _ in found:
            self.damage(image.layers[0].blob.digest, "flipped")
        said = self.imaged.ctl("--config", self.path("config"), "system", "check", "--repair")
        self.assertEqual(2, said.stdout.count(": repaired"), said.stdout)
        self.assert_clean(self.client)

    def test_content_that_came_by_load_says_so(self):
        image = Image([Layer(tar({"a": b"1"}))])
        repo = Repo()
        repo.add(image, "x")
        write_layout(repo, self.path("layout"))
        with tarfile.open(self.path("image.tar"), "w") as archive:
            archive.add(self.path("layout"), arcname="")
        self.imaged.ctl("load", "-i", self.path("image.tar"))
        self.damage(image.layers[0].blob.digest, "flipped")
        findings, _ = self.client.check(repair=True)
        self.assertEqual([False], [f.repaired for f in findings])
        self.assertRegex(findings[0].repair_error, "came from no registry: remove the image, then load")
        said = self.imaged.ctl("system", "check", "--repair", check=False)
        self.assertEqual(1, said.returncode)
        self.assertIn("not repaired: it came from no registry", said.stdout)
        self.client.RemoveImage(image=image.id, force=True)
        self.imaged.ctl("load", "-i", self.path("image.tar"))
        self.assert_clean(self.client)

    def test_repair_without_its_source_says_why(self):
        image = self.pull("a", 1)
        self.damage(image.layers[0].blob.digest, "flipped")
        self.registry.fault("GET", "/blobs/", status=404)
        findings, _ = self.client.check(repair=True)
        self.assertEqual([False], [f.repaired for f in findings if f.kind == 1])
        self.assertNotEqual("", findings[0].repair_error)

    def test_image_that_lost_its_configuration_is_damaged_and_no_wrong_name(self):
        image = self.pull("a", 1)
        self.damage(image.id, "missing")
        name = f"{self.registry.host}/a:1"
        for call in (self.client.InspectImage, self.client.GetHistory):
            self.assert_rpc_fails("DATA_LOSS", None, call, image=name, text="lacks its content .*; run 'imagectl system check'")
        self.assert_rpc_fails("DATA_LOSS", None, lambda **f: list(self.client.Save(**f)), images=[name], text="system check")
        done = self.imaged.ctl("inspect", name, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("lacks its content", done.stderr)
        self.client.RemoveImage(image=image.id, force=True)
        self.assert_rpc_fails("NOT_FOUND", None, self.client.InspectImage, image=name)

    def test_pull_heals_a_missing_layer(self):
        image = self.pull("a", 1, 2)
        self.damage(image.layers[0].blob.digest, "missing")
        done, _ = self.client.pull(f"{self.registry.host}/a:1")
        self.assertGreater(done.fetched_bytes, 100000)
        self.assert_clean(self.client)

    # -- events

    def test_events_come_in_order_and_from_where_one_left(self):
        image = self.pull("a", 1)
        reference = f"{self.registry.host}/a:1"
        self.client.TagImage(source=reference, target="x:1")
        self.client.RemoveImage(image="x:1")
        self.client.RemoveImage(image=reference)
        events = list(self.client.WatchEvents(no_follow=True, after_revision=0))
        past = list(self.client.WatchEvents(no_follow=True, after_revision=1))
        self.assertEqual([], events, "0 means new ones only")
        actions = [event.action for event in past]
        self.assertEqual([2, 3], [a for e, a in zip(past, actions) if e.name == "docker.io/library/x:1"])
        self.assertEqual(4, actions[-1] if actions[-1] == 4 else actions[-2])
        revisions = [event.revision for event in past]
        self.assertEqual(sorted(set(revisions)), revisions)
        self.assertTrue(all(event.image_id in ("", image.id) for event in past))
        rest = list(self.client.WatchEvents(no_follow=True, after_revision=revisions[0]))
        self.assertEqual(past[1:], rest)

    def test_watcher_sees_what_happens(self):
        self.pull("before", 9)
        seen, ready = [], threading.Event()
        call = self.client.WatchEvents(after_revision=list(self.client.WatchEvents(after_revision=1, no_follow=True))[-1].revision)

        def watch():
            try:
                for event in call:
                    seen.append(event)
                    ready.set()
            except Exception:  # cancelled
                ready.set()

        thread = threading.Thread(target=watch)
        thread.start()
        image = self.pull("a", 1)
        self.assertTrue(ready.wait(20))
        call.cancel()
        thread.join()
        self.assertEqual((1, image.id), (seen[0].action, seen[0].image_id))

    def test_watch_of_new_events_says_when_it_has_begun(self):
        """The headers come at once: what happens after them is seen."""
        call = self.client.WatchEvents(timeout=10)
        call.initial_metadata()
        self.pull("a", 1)
        self.assertEqual(1, next(call).action)
        call.cancel()

    def test_revision_that_is_gone_is_out_of_range(self):
        self.pull("a", 1)
        self.assert_rpc_fails("OUT_OF_RANGE", "OUT_OF_RANGE", self.client.WatchEvents, after_revision=1 << 40, no_follow=True)
