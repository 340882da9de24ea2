"""Hostile layers through the whole service: each row of the table of attacks on those who
unpack layers as root. A layer is refused with a reason, and nothing of it stays; or it is
harmless, and then what a mount shows of it is known. Nothing of it is ever a file of
the machine."""

import bz2
import json
import lzma
import os
import tarfile

import grpc

import erofs
from archives import import_requests
from erofs import Tar
from fakeregistry import FakeRegistry
from layertrees import LayerCase
from ociimage import Blob, Image, Layer, sha256
from rpc import reason

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/cases/registry/archive-breakouts")
INVALID, LIMIT, UNSUPPORTED = "INVALID_CONTENT", "LIMIT_EXCEEDED", "UNSUPPORTED_CONTENT"
CODES = {INVALID: "FAILED_PRECONDITION", UNSUPPORTED: "FAILED_PRECONDITION", LIMIT: "RESOURCE_EXHAUSTED"}
REG, DIR, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def pax(**records):
    return {"pax_headers": {key.replace("__", "."): value for key, value in records.items()}}


class HostileCase(LayerCase):
    OPTIONS = {}

    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        os.makedirs(self.path("victim"))
        with open(self.path("victim", "hello"), "wb") as file:
            file.write(b"of the machine")
        self.victim = erofs.snapshot(self.path("victim"))
        self.number = 0

    def made(self, *entries, **options):
        """The tar of entries: (name, type, fields) or (name, data)."""
        tar = Tar(self.path("made.tar"), **options)
        for name, what, *more in entries:
            fields = dict(more[0]) if more else {}
            if isinstance(what, str):
                what, fields["data"] = REG, what.encode()
            tar.add(name, what, **fields)
        with open(tar.done(), "rb") as file:
            return file.read()

    def ways(self, data):
        """(what is called, a call that brings the tar in as an image of this name)."""
        self.number += 1
        name = f"case{self.number}"
        image = Image([Layer(data)])
        self.registry.repo(name).add(image, "1")
        reference = f"{self.registry.host}/{name}:1"
        yield "pull", reference, lambda: self.client.pull(reference)
        yield "import", f"{name}:1", lambda: list(self.client.Import(import_requests(data, reference=f"{name}:1")))

    def refuse(self, data, why, text):
        for way, _, call in self.ways(data):
            with self.subTest(way=way):
                with self.assertRaises(grpc.RpcError) as caught:
                    call()
                error = caught.exception
                said = f"{error.code().name} {reason(error)}: {error.details()}"
                self.assertEqual((CODES[why], why), (error.code().name, reason(error)), said)
                self.assertRegex(error.details(), text)
                self.assertRegex(error.details(), r"\A[ -~]{5,800}\Z", "one line that a terminal can show")
                self.assert_untouched()
                self.assertEqual([], self.client.images())
                self.assertEqual([], self.files_of("layers") + self.files_of("ingest"))

    def show(self, data):
        """What a mount shows of a layer that is taken; equal by all ways."""
        shown = None
        for way, reference, call in self.ways(data):
            with self.subTest(way=way):
                call()
                self.assert_untouched()
                got = self.shown(reference)
                self.assertIn(shown, (None, got))
                shown = got
        self.client.PruneImages(all=True)
        return shown

    def files_of(self, folder):
        return [name for _, _, names in os.walk(os.path.join(self.imaged.root, folder)) for name in names]

    def assert_untouched(self):
        """The machine's files, and the daemon."""
        self.assertIsNone(self.imaged.process.poll(), "imaged lives")
        self.assertEqual(self.victim, erofs.snapshot(self.path("victim")))
        for name in ("/victim", "/breakout", os.path.join(os.path.dirname(self.imaged.root), "breakout")):
            self.assertFalse(os.path.lexists(name), name)
        for folder, directories, names in os.walk(self.imaged.root):
            for name in directories + names:
                path = os.path.join(folder, name)
                allowed = (0o40700, 0o100600, 0o140660)
                if path == os.path.join(self.imaged.root, "mounts", "empty"):
                    allowed = (0o40755,)  # what a mount shows as the root of an image without layers
                self.assertIn(os.lstat(path).st_mode & 0o177777, allowed, path)


class Rows(HostileCase):
    def test_names_that_lead_out(self):
        for name in ("../victim/x", "/../victim/x", "a/../../victim/x", "..", "/..", "a/..//../x", "./../x"):
            with self.subTest(name=name):
                self.refuse(self.made((name, "x")), INVALID, "leads out")

    def test_absolute_names_and_symlinks_on_the_way_stay_in_the_layer(self):
        victim = self.path("victim")
        got = self.show(self.made(("/breakout", "x"), ("out", LINK, {"linkname": victim}), ("out/hello", "y"),
                                  ("up", LINK, {"linkname": "../../../.."}), ("up/top", "z"),
                                  ("l1", LINK, {"linkname": "l2"}), ("l2", LINK, {"linkname": "/etc"}), ("l1/passwd", "p")))
        for name in ("breakout", "top", "etc/passwd", victim[1:] + "/hello"):
            self.assertIn(name.encode(), got)
        self.assertEqual(victim.encode(), got[b"out"]["content"])
        self.refuse(self.made(("a", LINK, {"linkname": "b"}), ("b", LINK, {"linkname": "a"}), ("a/x", "x")), INVALID, "too many symbolic")

    def test_a_symlink_that_is_swapped_under_the_writer(self):
        """Between two entries, in all orders: there is no moment to be quick in."""
        victim = self.path("victim")
        swaps = (("d", DIR), ("d", LINK, {"linkname": victim}))
        got = self.show(self.made(*swaps, ("d/hello", "x"), ("d", DIR), ("d/hello", "y"), *swaps, ("d/new", "z")))
        self.assertIn(victim[1:].encode() + b"/new", got)

    def test_hard_links_that_lead_out(self):
        for target in ("../victim/hello", "/../victim/hello", self.path("victim", "hello"), "missing", "d", "l/../../x"):
            with self.subTest(target=target):
                self.refuse(self.made(("d", DIR), ("h", HARD, {"linkname": target})), INVALID, "hard link|leads out")
        self.refuse(self.made(("l", LINK, {"linkname": self.path("victim")}), ("h", HARD, {"linkname": "l/hello"})), INVALID, "hard link")

    def test_hard_links_with_absolute_targets_are_of_the_layer(self):
        got = self.show(self.made(("d/f", "data"), ("h", HARD, {"linkname": "/d/f"}), ("s", LINK, {"linkname": "/etc/shadow"}),
                                  ("hs", HARD, {"linkname": "/s"})))
        self.assertEqual((2, 2), (got[b"h"]["links"], got[b"hs"]["links"]))
        self.assertEqual(got[b"h"]["same as"], got[b"d/f"]["same as"])
        self.assertEqual(b"/etc/shadow", got[b"hs"]["content"], "the symlink itself is linked, not its target")

    def test_attributes_never_go_through_a_link(self):
        victim = self.path("victim", "hello")
        mine = {"mode": 0o777, "uid": 4242, "gid": 4243, "mtime": 1, **pax(SCHILY__xattr__trusted__mine="yes")}
        got = self.show(self.made(("l", LINK, {"linkname": victim, **mine}), ("h", HARD, {"linkname": "l", **mine}),
                                  ("l", HARD, {"linkname": "h", **mine})))
        self.assertEqual(victim.encode(), got[b"l"]["content"])

    def test_devices_fifos_and_odd_types(self):
        got = self.show(self.made(("dev/sda", tarfile.BLKTYPE, {"devmajor": 8, "devminor": 0, "mode": 0o666}),
                                  ("dev/mem", tarfile.CHRTYPE, {"devmajor": 1, "devminor": 1, "mode": 0o666}),
                                  ("fifo", tarfile.FIFOTYPE), ("contiguous", b"7", {"data": b"old"})))
        self.assertEqual(os.makedev(8, 0), got[b"dev/sda"]["device"])
        for kind in (b"V", b"M", b"N", b"Z", b"\xff"):
            with self.subTest(type=kind):
                self.refuse(self.made(("odd", kind)), UNSUPPORTED, "type")
        with self.mounted_once(("dev/zero", tarfile.CHRTYPE, {"devmajor": 1, "devminor": 5, "mode": 0o666})) as root:
            with self.assertRaises(PermissionError):
                open(os.path.join(root, "dev/zero"), "rb").close()

    def mounted_once(self, *entries):
        list(self.client.Import(import_requests(self.made(*entries), reference="once:1")))
        return self.mounted("once:1")

    def test_a_character_device_0_0_is_a_whiteout_by_another_name(self):
        """As with every engine that mounts overlays: no more than ".wh." can do."""
        lower, upper = self.made(("hidden", "x"), ("kept", "y")), self.made(("hidden", tarfile.CHRTYPE))
        self.registry.repo("two").add(Image([Layer(lower), Layer(upper)]), "1")
        self.client.pull(f"{self.registry.host}/two:1")
        with self.mounted(f"{self.registry.host}/two:1") as root:
            self.assertEqual(["kept"], os.listdir(root))

    def test_set_user_ids_and_capabilities_are_kept_and_do_nothing_by_default(self):
        capability = bytes.fromhex("0100000200200000000000000000000000000000")
        got = self.show(self.made(("su", REG, {"mode": 0o4755, "data": b"x"}), ("sg", REG, {"mode": 0o2755}),
                                  ("cap", REG, {"pax_headers": {"SCHILY.xattr.security.capability": capability.decode("latin-1")}})))
        self.assertEqual(("0o104755", "0o102755"), (got[b"su"]["mode"], got[b"sg"]["mode"]))
        self.assertEqual({"security.capability": capability}, got[b"cap"]["xattrs"])
        with self.mounted_once(("su", REG, {"mode": 0o4755, "data": b"x"})) as root:
            self.assertTrue(os.statvfs(root).f_flag & os.ST_NOSUID)

    def test_xattrs_that_overlayfs_reads(self):
        for name in ("trusted.overlay.opaque", "trusted.overlay.redirect", "trusted.overlay.metacopy", "user.overlay.origin", "user.overlay.opaque"):
            with self.subTest(name=name):
                self.refuse(self.made(("d", DIR, pax(**{"SCHILY.xattr." + name: "y"}))), INVALID, "overlayfs")

    def test_xattrs_without_measure(self):
        self.refuse(self.made(("f", REG, pax(**{"SCHILY.xattr.user.v": "v" * 65536}))), LIMIT, "65535")
        self.refuse(self.made(("f", REG, pax(**{f"SCHILY.xattr.user.v{n}": "v" * 6000 for n in range(20)}))), LIMIT, "extended attributes")
        self.refuse(self.made(("f", REG, pax(**{f"SCHILY.xattr.user.n{n}": "v" for n in range(257)}))), LIMIT, "256 extended")
        self.refuse(self.made(("f", REG, pax(**{"SCHILY.xattr.user." + "n" * 251: "v"}))), INVALID, "bad name")

    def test_whiteouts_of_what_is_no_name(self):
        for name in (".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh...", ".wh.x/below"):
            with self.subTest(name=name):
                self.refuse(self.made(("d", DIR), (name, "")), INVALID, "whiteout")

    def test_whiteouts_hide_what_is_below_and_nothing_else(self):
        victim = self.path("victim")
        got = self.show(self.made(("l", LINK, {"linkname": victim}), ("l/.wh.hello", ""), ("own", "1"), (".wh.own", ""), ("d/f", "1"),
                                  (".wh.d", ""), ("o/new", "1"), ("o/.wh..wh..opq", ""), ("o/late", "1"), ("d/.wh.f", "")))
        self.assertNotIn(victim[1:].encode() + b"/hello", got)
        self.assertIn(victim[1:].encode(), got, "it hides what is at the layer's own path")
        for name in (b"own", b"d/f", b"o/new", b"o/late"):
            self.assertIsNotNone(got[name]["content"], "entries of one layer hide only lower layers")
        self.refuse(self.made(("f", ""), (".wh.gone", ""), ("h", HARD, {"linkname": ".wh.gone"})), INVALID, "hard link|whiteout")

    def test_sparse_bombs(self):
        """Compressed ones are in test_hostile.py and test_load_hostile.py."""
        for size in (1 << 62, (1 << 63) - 1):  # 8 EiB
            with self.subTest(size=size):
                self.refuse(self.made(("f", REG, {"data": b"x", **pax(GNU__sparse__map="0,1", GNU__sparse__size=str(size))})), LIMIT, "limit")
        wide = ",".join(f"{place << 33},1" for place in range(60))
        got = self.show(self.made(("f", REG, {"data": b"x" * 60, **pax(GNU__sparse__map=wide, GNU__sparse__size=str(60 << 33))})))
        self.assertEqual(60 << 33, got[b"f"]["size"])
        many = ",".join(f"{place * 2},1" for place in range(65537))
        self.refuse(self.made(("f", REG, {"data": b"x" * 65537, **pax(GNU__sparse__map=many, GNU__sparse__size="200000")})), INVALID, "too many pieces")

    def test_names_without_measure(self):
        self.refuse(self.made(("x" * 256, "")), INVALID, "255")
        self.refuse(self.made(("d/" * 2048 + "x", "")), INVALID, "too long")
        self.refuse(self.made(("l", LINK, {"linkname": "t" * 5000})), INVALID, "too long|4095|target")
        deep = "/".join(["d"] * 1500)
        self.refuse(self.made((deep, DIR), ("s", LINK, {"linkname": deep}), ("s/" + "e/" * 600 + "f", "")), LIMIT, "2048 deep")

    def test_headers_before_headers(self):
        """A hundred PAX and long-name headers in front of one entry."""
        info = tarfile.TarInfo("f")
        info.pax_headers = {"comment": "c" * 100}
        one = info.tobuf(tarfile.PAX_FORMAT)[:-512]
        link = tarfile.TarInfo("n" * 150).tobuf(tarfile.GNU_FORMAT)[:-512]
        for head in (one, link):
            self.refuse_or_show(head * 100 + tarfile.TarInfo("f").tobuf() + bytes(1024), {b".", b"f", b"n" * 150})

    def refuse_or_show(self, data, names):
        for way, reference, call in self.ways(data):
            with self.subTest(way=way):
                try:
                    call()
                except grpc.RpcError as error:
                    self.assertIn(reason(error), (INVALID, LIMIT), error.details())
                    continue
                with self.mounted(reference) as root:
                    self.assertLessEqual(set(erofs.snapshot(root)), names)

    def test_pax_records_that_lie(self):
        plain = self.made(("f", REG, {"data": b"12345", **pax(mtime="-1.5", uid="4294967294")}))
        got = self.show(plain)
        self.assertEqual((-1_500_000_000, 4294967294), (got[b"f"]["mtime"], got[b"f"]["owner"][0]))
        for key, value in (("size", "-1"), ("size", "5x"), ("size", "99999999999999999999"), ("mtime", "soon"), ("uid", "-1"),
                           ("size", "1152921504606846976")):
            with self.subTest(key=key, value=value):
                record = f" {key}={value}\n"
                length = len(record) + len(str(len(record) + 2))
                text = f"{length}{record}".encode()
                head = tarfile.TarInfo("x")
                head.type, head.size = tarfile.XHDTYPE, len(text)
                body = tarfile.TarInfo("f")
                body.size = 5
                data = head.tobuf() + text.ljust(512, b"\0") + body.tobuf() + b"12345".ljust(512, b"\0") + bytes(1024)
                with self.assertRaises(grpc.RpcError) as caught:
                    list(self.client.Import(import_requests(data, reference="x:1")))
                self.assertIn(reason(caught.exception), (INVALID, LIMIT), caught.exception.details())
                self.assertEqual([], self.files_of("layers"))

    def test_a_pax_size_that_differs_from_the_headers_counts(self):
        """One reading of the stream, by whoever counts, hashes and writes."""
        text = b"12 size=512\n"
        head, body = tarfile.TarInfo("x"), tarfile.TarInfo("f")
        head.type, head.size = tarfile.XHDTYPE, len(text)
        inner = tarfile.TarInfo("smuggled").tobuf()
        data = head.tobuf() + text.ljust(512, b"\0") + body.tobuf() + inner + bytes(1024)
        got = self.show(data)
        self.assertEqual({b".", b"f"}, set(got))
        self.assertEqual(512, got[b"f"]["size"])

    def test_global_headers_name_nothing(self):
        text = b"%d path=../evil\n" % 16
        head = tarfile.TarInfo("g")
        head.type, head.size = tarfile.XGLTYPE, len(text)
        self.refuse_or_show(head.tobuf() + text.ljust(512, b"\0") + tarfile.TarInfo("f").tobuf() + bytes(1024), {b".", b"f"})

    def test_nul_in_names_and_duplicate_keys(self):
        def record(key, value):
            text = b" " + key + b"=" + value + b"\n"
            length = len(text) + 2
            return b"%d" % length + text

        def entry(*records, kind=REG):
            text = b"".join(records)
            head, body = tarfile.TarInfo("x"), tarfile.TarInfo("f")
            head.type, head.size, body.type = tarfile.XHDTYPE, len(text), kind
            return head.tobuf() + text.ljust(512, b"\0") + body.tobuf() + bytes(1024)

        self.refuse(entry(record(b"path", b"good\0/../evil")), INVALID, "NUL")
        self.refuse(entry(record(b"linkpath", b"a\0bcdefgh"), kind=LINK), INVALID, "NUL")
        got = self.show(entry(record(b"path", b"first-one"), record(b"path", b"last-wins")))
        self.assertEqual({b".", b"last-wins"}, set(got))

    def test_control_characters_are_kept_in_names_and_not_printed(self):
        got = self.show(self.made(("\x1b[31mred\x07", "x")))
        self.assertIn(b"\x1b[31mred\x07", got)
        self.refuse(self.made(("\x1b[31m/../../x", "x")), INVALID, "leads out")

    def test_duplicates_and_swaps(self):
        victim = self.path("victim")
        got = self.show(self.made(("x", LINK, {"linkname": victim}), ("x", DIR), ("x/hello", "mine"), ("y", DIR), ("y/in", "1"),
                                  ("y", LINK, {"linkname": "/x"}), ("y/second", "2"), ("z", "1"), ("z", DIR), ("z/f", "2"), ("z", "3"),
                                  ("Case", "1"), ("case", "2")))
        self.assertEqual({b".", b"x", b"x/hello", b"x/second", b"y", b"z", b"Case", b"case"}, set(got))
        self.assertEqual(b"/x", got[b"y"]["content"])

    def test_other_formats_are_no_layers(self):
        magics = {
            "cpio": b"070701" + b"0" * 104, "zip": b"PK\3\4", "7z": b"7z\xbc\xaf\x27\x1c", "rar": b"Rar!\x1a\x07\x01\0", "ar": b"!<arch>\n",
            "xar": b"xar!\0\x1c\0\x01", "cab": b"MSCF", "lha": b"\x20\x20-lh5-",
        }
        for name, magic in magics.items():
            with self.subTest(format=name):
                data = magic.ljust(40960, b"x")
                image = Image([Layer(how="plain", blob=Blob(data), diff_id=sha256(data))])
                self.registry.repo(name).add(image, "1")
                error = self.assert_rpc_fails("FAILED_PRECONDITION", None, self.client.Pull, reference=f"{self.registry.host}/{name}:1")
                self.assertIn(reason(error), (INVALID, UNSUPPORTED))
                self.assertEqual([], self.files_of("layers"))
        # What begins with zeros is a tar that is at its end, and the rest belongs to nobody.
        iso9660 = bytes(16 * 2048) + b"\x01CD001\x01".ljust(2048, b"x")
        self.assertEqual({b"."}, set(self.show(iso9660)))

    def test_filters_that_no_manifest_names_are_not_tried(self):
        for how, packer in (("bzip2", bz2.compress), ("xz", lzma.compress)):
            data = packer(self.made(("f", "x")))
            image = Image([Layer(how="plain", blob=Blob(data), diff_id=sha256(self.made(("f", "x"))))])
            self.registry.repo(how).add(image, "1")
            self.assert_rpc_fails("FAILED_PRECONDITION", None, self.client.Pull, reference=f"{self.registry.host}/{how}:1")


class Umask(HostileCase):
    """A daemon that was started with the widest umask makes no file for others, and layers
    have the modes of their archive."""

    def setUp(self):
        super().setUp()
        self.imaged.stop()
        self._daemons.remove(self.imaged)
        self.imaged = self.daemon(name="wide", wrapper=("sh", "-c", 'umask 0; exec "$0" "$@"'))
        self.client = self.imaged.client()

    def test_modes_are_those_of_the_archive(self):
        got = self.show(self.made(("d", DIR, {"mode": 0o700}), ("d/f", REG, {"mode": 0o600}), ("w", DIR, {"mode": 0o1777}), ("made/f", "x")))
        self.assertEqual(["0o40700", "0o100600", "0o41777", "0o40755"], [got[name]["mode"] for name in (b"d", b"d/f", b"w", b"made")])


class OtherEngines(HostileCase):
    """What other engines were broken out of with."""

    def test_break_outs_of_moby(self):
        path = os.path.join(CASES, "moby_applylayer_invalid.json")
        if not os.path.exists(path):
            self.skipTest("shared cases are not here")
        with open(path, encoding="utf-8") as file:
            cases = json.load(file)
        kinds = {"tar.TypeReg": REG, "tar.TypeLink": HARD, "tar.TypeSymlink": LINK, "tar.TypeDir": DIR}
        tried, taken = 0, 0
        for test in ("TestApplyLayerInvalidFilenames", "TestApplyLayerInvalidHardlink", "TestApplyLayerInvalidSymlink"):
            for headers in cases[test]:
                data = self.made(*[(h["Name"], kinds[h["Typeflag"]["$go"]], {"linkname": h.get("Linkname", ""), "mode": h["Mode"]}) for h in headers])
                for way, reference, call in self.ways(data):
                    with self.subTest(test=test, headers=headers, way=way):
                        tried += 1
                        try:
                            call()
                            taken += 1
                            with self.mounted(reference) as root:
                                erofs.snapshot(root)
                        except grpc.RpcError as error:
                            self.assertEqual(INVALID, reason(error), error.details())
                        self.assert_untouched()
        self.assertEqual(28, tried)
        self.assertLess(taken, tried)

    def test_breakouts_by_links_in_every_order(self):
        """A link that leads out, made in three ways, and then each way to use it."""
        victim = self.path("victim")
        links = {
            "absolute": [("l", LINK, {"linkname": victim})],
            "up and out": [("l", LINK, {"linkname": "../" * 20 + victim[1:]})],
            "in two steps": [("m", LINK, {"linkname": victim}), ("l", LINK, {"linkname": "m"})],
            "by a hard link": [("m", LINK, {"linkname": victim}), ("l", HARD, {"linkname": "m"})],
            "in a directory": [("d", DIR), ("d/m", LINK, {"linkname": ".."}), ("l", LINK, {"linkname": "d/m/.." + victim})],
        }
        uses = {
            "write below": [("l/breakout", "x")],
            "overwrite": [("l/hello", "x")],
            "make a directory": [("l/breakout", DIR, {"mode": 0o777})],
            "link below": [("l/breakout", LINK, {"linkname": "/etc/passwd"})],
            "hard link in": [("f", "x"), ("l/breakout", HARD, {"linkname": "f"})],
            "hard link out": [("f", HARD, {"linkname": "l/hello"})],
            "device": [("l/breakout", tarfile.CHRTYPE, {"devmajor": 1, "devminor": 3})],
            "whiteout": [("l/.wh.hello", "")],
            "opaque": [("l/.wh..wh..opq", "")],
            "replace": [("l", DIR, {"mode": 0o777})],
        }
        for how, first in links.items():
            for use, then in uses.items():
                with self.subTest(link=how, use=use):
                    _, _, call = list(self.ways(self.made(*first, *then)))[1]
                    try:
                        call()
                    except grpc.RpcError as error:
                        self.assertEqual(INVALID, reason(error), error.details())
                        self.assertEqual("hard link out", use, error.details())
                    self.assert_untouched()
