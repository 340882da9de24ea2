"""What the images of layers mean to the other calls: whether they are made, what is told of
them, what they take, and what becomes of damaged ones."""

import json
import os
import shutil
import subprocess
import tempfile
import threading

import grpc

import erofs
from archives import docker_files, import_requests, load
from fakeregistry import FakeRegistry
from harness import TestCase, blob_path
from ociimage import Image, Layer, random_bytes, tar
from rpc import pb, reason, room

MIB = 1 << 20


def image_files(root):
    """{diff ID: path} of all images of layers in a store."""
    found = {}
    for folder, _, names in os.walk(os.path.join(root, "layers")):
        for name in names:
            found["sha256:" + name.partition(".")[0]] = os.path.join(folder, name)
    return found


def layer(seed, size=100_000, how="gzip"):
    return Layer(tar({f"f{seed}": random_bytes(size, seed)}), how)


class LayersCase(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.imaged = self.daemon(*self.flags())
        self.client = self.imaged.client()

    def flags(self):
        return ()

    def files(self):
        return image_files(self.imaged.root)

    def add(self, name, *layers, **fields):
        """An image of the registry; its reference."""
        repository, _, tag = name.partition(":")
        self.registry.repo(repository).add(Image(list(layers), **fields), tag)
        return f"{self.registry.host}/{name}"


class NoLayers(LayersCase):
    def test_a_pull_makes_none_when_it_is_told_so(self):
        one, two = layer(1), layer(2)
        reference = self.add("a:1", one, two)
        self.imaged.ctl("pull", "--no-layers", reference)
        self.assertEqual({}, self.files())
        self.assert_clean(self.client, [reference])
        done, _ = self.client.pull(reference, no_layers=True)
        self.assertTrue(done.up_to_date)
        self.assertEqual({}, self.files())

    def test_another_pull_of_the_same_layers_makes_them(self):
        one, two, three = layer(1), layer(2), layer(3)
        self.client.pull(self.add("a:1", one, two), no_layers=True)
        self.client.pull(self.add("a:2", one, two, three))
        self.assertEqual({one.diff_id, two.diff_id, three.diff_id}, set(self.files()))

    def test_two_pulls_at_once_of_which_one_wants_none(self):
        """Whichever comes first, one of them wants the image, so that it is made."""
        for first_wants in (False, True):
            with self.subTest(first_wants=first_wants):
                shared, gate = layer(10 + first_wants, 3 * MIB), threading.Event()
                self.addCleanup(gate.set)
                name = "wants" if first_wants else "wants-none"
                first, second = self.add(f"{name}:1", shared), self.add(f"{name}:2", shared)
                self.registry.fault("GET", "/blobs/" + shared.blob.digest, times=1, cut=2 * MIB, gate=gate)
                call = self.client.Pull(reference=first, no_layers=not first_wants)
                for event in call:
                    if event.WhichOneof("event") == "layer" and event.layer.current >= MIB:
                        break
                other = self.client.Pull(reference=second, no_layers=first_wants)
                next(iter(other))  # it is resolved, and joins or waits
                gate.set()
                list(call), list(other)
                self.assertEqual([shared.diff_id], list(self.files()))
                self.client.PruneImages(all=True)

    def test_what_fails_for_its_image_does_not_fail_who_wants_none(self):
        """Who shared the transfer of another goes on with one of its own."""
        files = {f"f{n}": random_bytes(MIB, n) for n in range(3)}
        odd, gate = Layer(tar({**files, "h": ("hard", "nowhere")})), threading.Event()
        self.addCleanup(gate.set)
        first, second = self.add("odd:1", odd), self.add("odd:2", odd)
        self.registry.fault("GET", "/blobs/" + odd.blob.digest, times=1, cut=2 * MIB, gate=gate)
        call = self.client.Pull(reference=first)
        for event in call:
            if event.WhichOneof("event") == "layer" and event.layer.current >= MIB:
                break
        other = self.client.Pull(reference=second, no_layers=True)
        for event in other:
            if event.WhichOneof("event") == "layer" and event.layer.current >= MIB:
                break
        gate.set()
        with self.assertRaises(grpc.RpcError) as caught:
            list(call)
        self.assertRegex(caught.exception.details(), "hard link to a file that is not in it")
        self.assertEqual("done", list(other)[-1].WhichOneof("event"))
        self.assertEqual({}, self.files())


class NoLayersAtAll(LayersCase):
    def flags(self):
        return ("--no-layers",)

    def test_neither_pull_nor_load_nor_import_makes_any(self):
        self.client.pull(self.add("a:1", layer(1), layer(2)))
        load(self.client, tar(docker_files((Image([layer(3), layer(4, how="plain")]), "x:1"))))
        list(self.client.Import(import_requests(tar({"f": b"imported"}), reference="imp:1")))
        self.assertEqual({}, self.files())
        self.assertEqual(3, len(self.client.images()))
        self.assert_clean(self.client)

    def test_info_tells_it(self):
        self.assertTrue(self.client.GetInfo().no_layers)
        self.assertRegex(self.imaged.ctl("info").stdout, r"\n Images of Layers: made by the first mount only\n")
        self.assertEqual("true\n", self.imaged.ctl("info", "-f", "{{.NoLayers}}").stdout)

    def test_the_file_of_the_configuration_says_it_too(self):
        with open(self.path("imaged.toml"), "w", encoding="ascii") as file:
            file.write("no-layers = true\n")
        other = self.daemon("--config", self.path("imaged.toml"), name="other")
        self.assertTrue(other.client().GetInfo().no_layers)


class Told(LayersCase):
    def inspect(self, reference):
        return self.client.InspectImage(image=reference)

    def test_inspect_tells_the_file_of_each_layer(self):
        layers = [layer(n, 50_000 * n) for n in (1, 2, 3)]
        reference = self.add("a:1", *layers)
        self.client.pull(reference)
        files = self.files()
        for told, made in zip(self.inspect(reference).layers, layers, strict=True):
            self.assertEqual(made.diff_id, told.diff_id)
            path = os.path.join(self.imaged.root, told.image_file)
            self.assertEqual(files[made.diff_id], path)
            self.assertEqual(os.stat(path).st_size, told.image_size)

    def test_inspect_tells_of_no_file_where_there_is_none(self):
        reference = self.add("a:1", layer(1))
        self.client.pull(reference, no_layers=True)
        [told] = self.inspect(reference).layers
        self.assertEqual(("", 0), (told.image_file, told.image_size))
        driver = json.loads(self.imaged.ctl("inspect", reference).stdout)[0]["GraphDriver"]
        self.assertEqual({"Data": None, "Name": "erofs"}, driver)

    def test_inspect_counts_the_images_that_share_a_layer(self):
        base, second, other = layer(1), layer(2), layer(3)
        names = [self.add("a:1", base, second), self.add("a:2", base, second, other), self.add("a:3", base, other),
                 self.add("a:4", other, base)]
        for name in names:
            self.client.pull(name)
        self.assertEqual([3, 2], [told.images for told in self.inspect(names[0]).layers])
        self.assertEqual([3, 2, 1], [told.images for told in self.inspect(names[1]).layers])
        self.assertEqual([3, 1], [told.images for told in self.inspect(names[2]).layers])
        self.assertEqual([1, 1], [told.images for told in self.inspect(names[3]).layers])
        self.client.RemoveImage(image=names[1])
        self.assertEqual([2, 1], [told.images for told in self.inspect(names[0]).layers])

    def test_several_manifests_of_one_image_are_one(self):
        data = tar({"f": random_bytes(1000, 1)})
        zipped, packed = Image([Layer(data, "gzip")]), Image([Layer(data, "zstd")])
        self.registry.repo("a").add(zipped, "1")
        self.registry.repo("a").add(packed, "2")
        for tag in "12":
            self.client.pull(f"{self.registry.host}/a:{tag}")
        self.assertEqual(1, len(self.client.images()))
        [told] = self.inspect(f"{self.registry.host}/a:1").layers
        self.assertEqual(1, told.images)

    def test_the_graph_driver_has_the_files_as_an_overlay_takes_them(self):
        layers = [layer(n) for n in (1, 2, 3)]
        reference = self.add("a:1", *layers)
        self.client.pull(reference)
        files = self.files()
        low, middle, top = (files[made.diff_id] for made in layers)
        said = json.loads(self.imaged.ctl("image", "inspect", reference).stdout)[0]["GraphDriver"]
        self.assertEqual({"Data": {"LowerDir": f"{middle}:{low}", "UpperDir": top}, "Name": "erofs"}, said)
        for template, wanted in (
            ("{{.GraphDriver.Name}}", "erofs"),
            ("{{.GraphDriver.Data.UpperDir}}", top),
            ('{{index .GraphDriver.Data "LowerDir"}}', f"{middle}:{low}"),
            ("{{.Id}} {{.GraphDriver.Data.UpperDir}}", f"{self.client.images()[0].id} {top}"),
        ):
            self.assertEqual(wanted + "\n", self.imaged.ctl("inspect", "-f", template, reference).stdout)

    def test_an_image_of_one_layer_has_no_lower_directory(self):
        reference = self.add("a:1", layer(1))
        self.client.pull(reference)
        [file] = self.files().values()
        said = self.imaged.ctl("inspect", "-f", "{{json .GraphDriver}}", reference, reference).stdout
        self.assertEqual([{"Data": {"UpperDir": file}, "Name": "erofs"}] * 2, [json.loads(t) for t in said.split()])

    def test_an_image_without_layers_has_no_data(self):
        self.client.pull(self.add("a:1"))
        said = self.imaged.ctl("inspect", "-f", "{{json .GraphDriver}}", f"{self.registry.host}/a:1").stdout
        self.assertEqual('{"Data":null,"Name":"erofs"}\n', said)


class Usage(LayersCase):
    def assert_usage_is_true(self):
        usage = self.client.GetDiskUsage()
        sizes = [os.stat(path).st_size for path in self.files().values()]
        self.assertEqual((sum(sizes), len(sizes)), (usage.layer_image_bytes, usage.layer_image_count))
        return usage

    def test_images_of_layers_are_counted_apart_from_content(self):
        before = self.assert_usage_is_true()
        self.assertEqual(0, before.layer_image_count)
        shared = layer(1, MIB)
        self.client.pull(self.add("a:1", shared, layer(2)))
        one = self.assert_usage_is_true()
        self.client.pull(self.add("a:2", shared, layer(3)))
        two = self.assert_usage_is_true()
        self.assertEqual((2, 3), (one.layer_image_count, two.layer_image_count))
        contents = sum(os.stat(os.path.join(folder, name)).st_size
                       for folder, _, names in os.walk(os.path.join(self.imaged.root, "content")) for name in names)
        self.assertEqual(contents, two.content_bytes)
        self.client.PruneImages(all=True)
        self.assertEqual(0, self.assert_usage_is_true().layer_image_count)

    def test_df_shows_them_below_what_docker_shows(self):
        self.client.pull(self.add("a:1", layer(1, MIB), layer(2)))
        usage = self.client.GetDiskUsage()
        said = self.imaged.ctl("system", "df", "-v").stdout
        dockers, _, ours = said.partition("\nStore usage: ")
        self.assertTrue(dockers.endswith("USAGE     SHARED\n"), dockers)
        self.assertRegex(ours, r"^0B unfinished, [0-9.]+[kM]?B metadata\n\nTYPE +FILES +SIZE\n"
                               rf"Content +{usage.blob_count} +1.15MB\nLayer Images +2 +1.1[0-9]*MB\n$")
        self.assertEqual(5, self.imaged.ctl("system", "df").stdout.count("\n"))

    def test_what_a_removal_frees_is_both(self):
        """In a dry run, in the answer, and on the disk."""
        def taken():
            usage = self.client.GetDiskUsage()
            return usage.content_bytes + usage.layer_image_bytes

        base = layer(1, MIB)
        first, second = self.add("a:1", base, layer(2)), self.add("a:2", base, layer(3))
        for name in (first, second):
            self.client.pull(name)
        for remove in (lambda **f: self.client.RemoveImage(image=first, **f), lambda **f: self.client.PruneImages(all=True, **f)):
            before = taken()
            planned = remove(dry_run=True).freed_bytes
            self.assertEqual(before, taken())
            freed = remove().freed_bytes
            self.assertEqual((before - taken(), freed), (freed, planned))
        self.assertEqual(0, taken())


DAMAGED, MISSING = 6, 7


def write_at(path, offset, data):
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def flip(path, offset):
    with open(path, "rb") as file:
        file.seek(offset)
        byte = file.read(1)
    write_at(path, offset, bytes([byte[0] ^ 0xFF]))


def content(path):
    with open(path, "rb") as file:
        return file.read()


class Checked(LayersCase):
    def setUp(self):
        super().setUp()
        self.layers = [layer(1, MIB), layer(2), layer(3)]
        self.reference = self.add("a:1", *self.layers)
        self.client.pull(self.reference)
        self.id = self.client.images()[0].id
        self.path_of = self.files()
        self.before = {path: content(path) for path in self.path_of.values()}

    def found(self, **fields):
        findings, summary = self.client.check(**fields)
        self.assertEqual(len(findings), summary.findings)
        return [(f.kind, f.digest, f.repaired) for f in findings]

    def damage(self, number, how):
        diff_id = self.layers[number].diff_id
        how(self.path_of[diff_id])
        return diff_id

    def test_sound_ones_are_no_finding(self):
        for quick in (True, False):
            findings, summary = self.client.check(quick=quick)
            self.assertEqual(([], 3), (findings, summary.layer_images))
            self.assertEqual(self.client.GetDiskUsage().content_bytes, summary.bytes)

    def test_layers_without_are_no_finding(self):
        self.client.pull(self.add("b:1", layer(7)), no_layers=True)
        findings, summary = self.client.check()
        self.assertEqual(([], 3), (findings, summary.layer_images))

    def test_damage_is_found_and_repaired(self):
        """In the data of a file, in what only the writer fills, and in the metadata."""
        def cut(path):
            os.truncate(path, os.stat(path).st_size - 4096)

        # What was done; whether a quick check sees it.
        for what, how, quickly in (
            ("data", lambda path: flip(path, 100_000), False),
            ("last byte", lambda path: flip(path, os.stat(path).st_size - 1), False),
            ("before the superblock", lambda path: flip(path, 10), False),
            ("superblock", lambda path: flip(path, 1024 + 40), True),
            ("magic", lambda path: write_at(path, 1024, b"1234"), True),
            ("shorter", cut, True),
            ("empty", lambda path: os.truncate(path, 0), True),
            ("longer", lambda path: write_at(path, os.stat(path).st_size, b"x" * 4096), True),
        ):
            with self.subTest(what=what):
                diff_id = self.damage(0, how)
                self.assertEqual([(DAMAGED, diff_id, False)] if quickly else [], self.found(quick=True))
                [finding] = self.client.check()[0]
                self.assertEqual((DAMAGED, diff_id, [self.id]), (finding.kind, finding.digest, list(finding.images)))
                self.assertEqual([(DAMAGED, diff_id, True)], self.found(repair=True, quick=quickly))
                self.assertEqual([], self.found())
                self.assertEqual(self.before, {path: content(path) for path in self.files().values()})

    def test_a_file_that_is_gone_is_found_and_made_again(self):
        for folder_too in (False, True):
            with self.subTest(folder_too=folder_too):
                diff_id = self.damage(1, os.unlink)
                if folder_too:
                    os.rmdir(os.path.dirname(self.path_of[diff_id]))
                self.assertEqual([(MISSING, diff_id, False)], self.found(quick=True))
                self.assertEqual([(MISSING, diff_id, True)], self.found(repair=True))
                self.assertEqual([], self.found())
                self.assertEqual(self.before, {path: content(path) for path in self.files().values()})

    def test_several_at_once(self):
        wanted = {self.damage(0, lambda path: flip(path, 4096)): DAMAGED, self.damage(1, os.unlink): MISSING,
                  self.damage(2, lambda path: flip(path, 1100)): DAMAGED}
        found = self.found(repair=True)
        self.assertEqual(wanted, {digest: kind for kind, digest, repaired in found if repaired})
        self.assertEqual([], self.found())

    def test_repair_fetches_the_layer_first_and_makes_its_image_then(self):
        diff_id = self.damage(0, lambda path: flip(path, 4096))
        os.unlink(blob_path(self.imaged.root, self.layers[0].blob.digest))
        found = self.found(repair=True)
        self.assertEqual([(2, self.layers[0].blob.digest, True), (DAMAGED, diff_id, True)], found)
        self.assertEqual([], self.found())
        self.assertEqual(self.before, {path: content(path) for path in self.files().values()})

    def test_of_a_layer_that_cannot_be_had_the_record_goes(self):
        self.registry.fault("GET", "/blobs/", status=404)
        for number, how in ((0, os.unlink), (1, lambda path: flip(path, 1100))):
            self.damage(number, how)
            os.unlink(blob_path(self.imaged.root, self.layers[number].blob.digest))
        found = self.found(repair=True)
        self.assertEqual({(MISSING, True), (DAMAGED, True)}, {(kind, ok) for kind, _, ok in found if kind in (6, 7)})
        self.assertEqual([self.layers[2].diff_id], list(self.files()))
        self.assertEqual(1, self.client.GetDiskUsage().layer_image_count)
        self.assertEqual({2}, {kind for kind, _, _ in self.found()}, "only the blobs are missing now")

    def test_a_mount_of_a_damaged_one_lives_on_while_it_is_replaced(self):
        if not erofs.can_mount():
            self.skipTest("erofs cannot be mounted here")
        path = self.path_of[self.layers[0].diff_id]
        with erofs.mounted(path, self.path("mnt")) as root:
            held = content(os.path.join(root, "f1"))
            self.damage(0, lambda path: flip(path, os.stat(path).st_size - 1))
            inode = os.stat(path).st_ino
            self.assertTrue(all(ok for _, _, ok in self.found(repair=True)))
            self.assertNotEqual(inode, os.stat(path).st_ino)
            self.assertEqual(held, content(os.path.join(root, "f1")))
        self.assertEqual(self.before[path], content(path))

    def test_what_the_command_says(self):
        ctl = self.imaged.ctl
        self.assertRegex(ctl("system", "check").stdout,
                         r"^Checked 5 blobs, [0-9.]+MB, and 3 images of layers: 0 findings, 0 repaired\n$")
        damaged, missing = self.damage(0, lambda path: flip(path, 5000)), self.damage(1, os.unlink)
        short = self.id.partition(":")[2][:12]
        done = ctl("system", "check", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn(f"damaged image of layer {damaged}: byte 5000 is not what the layer gives (needed by {short})\n",
                      done.stdout)
        self.assertIn(f"missing image of layer {missing}: it is on record and there is no such file (needed by {short})\n",
                      done.stdout)
        done = ctl("system", "check", "--format", "json", check=False)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(1, done.returncode)
        self.assertEqual({("damaged image of layer", damaged), ("missing image of layer", missing)},
                         {(row["Kind"], row["Digest"]) for row in rows})
        self.assertEqual([[self.id]] * 2, [row["Images"] for row in rows])
        done = ctl("system", "check", "--repair")
        self.assertEqual(2, done.stdout.count(": repaired\n"), done.stdout)

    def test_checks_at_once_and_one_that_is_cancelled(self):
        many = [layer(100 + n) for n in range(12)]
        self.client.pull(self.add("many:1", *many))
        call = self.client.CheckStore()
        next(iter(call))
        call.cancel()
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.found())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([[]] * 3, results)

    def test_without_its_layer_an_image_is_known_by_its_metadata(self):
        for made in self.layers:
            os.unlink(blob_path(self.imaged.root, made.blob.digest))
        self.damage(0, lambda path: flip(path, 100_000))  # in a file, whose bytes nothing tells
        broken = self.damage(1, lambda path: flip(path, 1024 + 128 + 4))  # the root's inode
        findings, summary = self.client.check()
        self.assertEqual([broken], [f.digest for f in findings if f.kind == DAMAGED])
        self.assertEqual((3, 3), (summary.layer_images, summary.layer_images_not_compared))
        self.assertIn(", and 3 images of layers (3 by their metadata only): ",
                      self.imaged.ctl("system", "check", check=False).stdout)

    def test_beside_pulls_and_removals(self):
        """What comes and goes meanwhile is no finding."""
        references = [self.add(f"x:{n}", layer(200 + n), layer(201 + n)) for n in range(8)]
        stop = threading.Event()

        def come_and_go():
            client = self.imaged.client()
            while not stop.is_set():
                for reference in references:
                    client.pull(reference)
                for reference in references:
                    client.RemoveImage(image=reference)

        thread = threading.Thread(target=come_and_go)
        thread.start()
        try:
            for _ in range(4):
                self.assertEqual([], [f for f in self.found(repair=True) if f[0] in (DAMAGED, MISSING)])
        finally:
            stop.set()
            thread.join()


class Descriptors(LayersCase):
    """An image that is not published yet has a descriptor open for each layer that came."""

    def setUp(self):
        # The store is in memory, where a sync of each file costs nothing; it goes after its daemon.
        self.memory = tempfile.mkdtemp(prefix="imaged-test-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.addCleanup(shutil.rmtree, self.memory, ignore_errors=True)
        super().setUp()

    def daemon(self, *args, **options):
        wrapper = ("prlimit", f"--nofile={self.limit}", "--")
        return super().daemon(*args, root=os.path.join(self.memory, "root"), wrapper=wrapper, **options)

    def tiny(self, first, n):
        return [layer(number, 1, how="plain") for number in range(first, first + n)]

    def complete_but_one(self, call, n):
        """Reads events until so many layers are here."""
        done = set()
        for event in call:
            if event.WhichOneof("event") == "layer" and event.layer.state == pb.LayerProgress.STATE_COMPLETE:
                done.add(event.layer.digest)
            if len(done) == n:
                return call
        self.fail("the pull ended before")


class FewDescriptors(Descriptors):
    limit = "2048:2048"  # the fewest with which the service starts

    def test_two_large_images_that_wait_for_one_layer_each(self):
        gate, calls, n = threading.Event(), [], 349
        self.addCleanup(gate.set)
        for name, first in (("a:1", 1000), ("b:1", 2000)):
            layers = self.tiny(first, n + 1)
            self.registry.fault("GET", "/blobs/" + layers[n // 2].blob.digest, gate=gate)
            calls.append(self.client.Pull(reference=self.add(name, *layers)))
        for call in calls:
            self.complete_but_one(call, n)
        gate.set()
        for call in calls:
            self.assertEqual("done", list(call)[-1].WhichOneof("event"))
        self.assertEqual(2 * n + 2, len(self.files()))
        self.assert_clean(self.client)


class UsualDescriptors(Descriptors):
    limit = "1024:4096"

    def test_an_image_of_500_layers(self):
        self.client.pull(self.add("a:1", *self.tiny(0, 500)))
        self.assertEqual(500, len(self.files()))
        told = self.client.InspectImage(image=f"{self.registry.host}/a:1").layers
        self.assertEqual(500, len([one for one in told if one.image_file and one.images == 1]))
        driver = json.loads(self.imaged.ctl("inspect", "-f", "{{json .GraphDriver.Data}}", f"{self.registry.host}/a:1").stdout)
        self.assertEqual(499, len(driver["LowerDir"].split(":")))


class FullDisk(LayersCase):
    """An image of a layer takes far more room than the layer, and nobody knows before."""

    DISK = 48 * MIB

    def setUp(self):
        self.disk = None
        super().setUp()

    def daemon(self, *args, **options):
        self.disk = self.path("small")
        os.makedirs(self.disk)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.DISK}", "tmpfs", self.disk], stderr=subprocess.PIPE)
        if done.returncode != 0:
            self.skipTest("mount is not permitted")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        return super().daemon(*args, root=os.path.join(self.disk, "root"), **options)

    def swelling(self, n=64):
        """n MiB of tar in a small blob."""
        piece = random_bytes(8 * 1024, 5)  # within the window of gzip
        return Layer(tar({f"f{n}": piece * 128 for n in range(n)}), level=1)

    def assert_full(self, error, least):
        """The call ended with this; the store works, and there is as much room as before."""
        self.assertEqual(("RESOURCE_EXHAUSTED", "DISK_FULL"), (error.code().name, reason(error)), error.details())
        needed, free = room(error)
        self.assertGreaterEqual(needed, least, error.details())
        self.assertLess(free, self.DISK)
        self.assertEqual({}, self.files())
        small = self.add("small:1", layer(9))
        self.client.pull(small)
        self.assertEqual(1, len(self.files()))
        self.client.RemoveImage(image=small)

    def test_in_mid_layer_of_a_pull(self):
        reference = self.add("a:1", self.swelling())
        error = self.assert_rpc_fails("RESOURCE_EXHAUSTED", "DISK_FULL", self.client.Pull, reference=reference)
        self.assert_full(error, 40 * MIB)
        self.assert_clean(self.client, [])
        self.client.pull(reference, no_layers=True)
        self.assert_clean(self.client, [reference])

    def test_in_mid_layer_of_a_load_and_of_an_import(self):
        swelling = self.swelling()
        archive = tar(docker_files((Image([swelling]), "x:1")))
        with self.assertRaises(grpc.RpcError) as caught:
            load(self.client, archive)
        self.assert_full(caught.exception, 40 * MIB)
        with self.assertRaises(grpc.RpcError) as caught:
            list(self.client.Import(import_requests(swelling.blob.bytes(), reference="imp:1")))
        self.assert_full(caught.exception, 40 * MIB)
        self.assert_clean(self.client, [])

    def test_what_an_interrupted_pull_left_counts_as_there(self):
        big = Layer(tar({"f": random_bytes(18 * MIB, 2)}), level=1)
        reference, path, gate = self.add("a:1", big), "/blobs/" + big.blob.digest, threading.Event()
        self.addCleanup(gate.set)
        self.registry.fault("GET", path, times=1, cut=16 * MIB, gate=gate)
        call = self.client.Pull(reference=reference)
        for event in call:
            if event.WhichOneof("event") == "layer" and event.layer.current >= 15 * MIB:
                break
        call.cancel()
        gate.set()
        self.wait_idle(self.client)
        with open(os.path.join(self.disk, "ballast"), "wb") as file:
            file.write(bytes(6 * MIB))  # 48 - 6 - 16 leave less than the blob and its image together
        self.client.pull(reference)
        self.assertEqual([big.diff_id], list(self.files()))

    def test_what_can_be_told_before_is(self):
        """Room for the blob alone is not enough, when it is compressed."""
        big = Layer(tar({"f": random_bytes(30 * MIB, 1)}), level=1)
        reference = self.add("a:1", big)
        error = self.assert_rpc_fails("RESOURCE_EXHAUSTED", "DISK_FULL", self.client.Pull, reference=reference)
        self.assertGreaterEqual(room(error)[0], 60 * MIB)
        self.assertEqual(0, self.registry.count("/blobs/"), "nothing was fetched")
        self.client.pull(reference, no_layers=True)
        # And its image, later: what its files are is on record by now.
        self.registry.clear()
        error = self.assert_rpc_fails("RESOURCE_EXHAUSTED", "DISK_FULL", self.client.Pull, reference=self.add("b:1", big))
        self.assertGreaterEqual(room(error)[0], 30 * MIB)


if __name__ == "__main__":
    import unittest

    unittest.main()
