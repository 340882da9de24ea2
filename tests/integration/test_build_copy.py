"""COPY, ADD and WORKDIR: what a step puts into its layer, one case for each rule of build.md
1.3, and what its key says of the files (2.1)."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import tarfile
import unittest

from copystep import NOW, CopyCase, Entry, hard_link, make_tar, read_layer
from harness import SLOW

PASSWD = "root:x:0:0:root:/root:/bin/sh\nmail:x:8:12:mail:/var/mail:/bin/sh\nbob:x:1000:1001::/:\n"
GROUP = "root:x:0:\nmail:x:12:\nstaff:x:50:\n"
BASE = {"etc": None, "etc/passwd": PASSWD.encode(), "etc/group": GROUP.encode(), "usr": None, "usr/bin": None, "bin": "usr/bin"}
OLD = 1_600_000_000


class Destinations(CopyCase):
    """"dst rules", "COPY src... dst"."""

    def test_a_file_gets_the_name_that_the_destination_says(self):
        layer = self.copy("COPY a /x/y", context={"a": b"1"})
        self.assertEqual(["x", "x/y"], list(layer))
        self.assertEqual(b"1", layer["x/y"].data)

    def test_a_slash_makes_the_destination_a_directory(self):
        self.assertEqual(["x", "x/y", "x/y/a"], list(self.copy("COPY a /x/y/", context={"a": b"1"})))

    def test_a_directory_that_is_there_takes_the_file_under_its_own_name(self):
        layer = self.copy("COPY a /usr/bin", context={"a": b"1"}, into=[BASE])
        self.assertEqual(["usr", "usr/bin", "usr/bin/a"], list(layer))

    def test_the_root_is_a_directory(self):
        self.assertEqual(["a"], list(self.copy("COPY a /", context={"a": b"1"})))
        self.assertEqual(["a"], list(self.copy("COPY a .", context={"a": b"1"}, into=[BASE])))

    def test_relative_to_the_working_directory(self):
        layer = self.copy(
            "COPY a b/", context={"a": b"1"}, dockerfile="FROM scratch\nWORKDIR /w\nCOPY a b/\n", step=1)
        self.assertEqual(["w", "w/b", "w/b/a"], list(layer))

    def test_several_sources_lie_beside_each_other_in_order(self):
        layer = self.copy("COPY b a d /dst/", context={"a": b"1", "b": b"2", "d": None, "d/c": b"3", "d/0": b"4"})
        self.assertEqual(["dst", "dst/0", "dst/a", "dst/b", "dst/c"], list(layer))

    def test_the_last_source_of_a_name_counts(self):
        layer = self.copy("COPY d/a e/a /dst/", context={"d": None, "d/a": b"1", "e": None, "e/a": b"2"})
        self.assertEqual(b"2", layer["dst/a"].data)

    def test_parents_are_made_with_the_time_of_the_build_and_root_s(self):
        layer = self.copy("COPY a /x/y/z", context={"a": b"1"})
        for name in ("x", "x/y"):
            self.assertEqual((0o755, (0, 0), NOW), (layer[name].mode, layer[name].owner, layer[name].mtime))

    def test_parents_get_the_epoch_where_there_is_one(self):
        layer = self.copy("COPY a /x/y", context={"a": b"1"}, epoch=1234567)
        self.assertEqual((1234567, OLD), (layer["x"].mtime, layer["x/y"].mtime))

    def test_parents_that_are_there_stay_as_they_are(self):
        base = {"d": Entry(mode=0o1770, uid=3, gid=4, mtime=99, xattrs={"user.a": "b"})}
        layer = self.copy("COPY a /d/", context={"a": b"1"}, into=[base])
        d = layer["d"]
        self.assertEqual((0o1770, (3, 4), 99, {"user.a": "b"}), (d.mode, d.owner, d.mtime, d.xattrs))

    def test_what_is_no_directory_on_the_way(self):
        for step in ("COPY a /f/x", "COPY a /f/"):
            self.assertEqual(("INVALID_ARGUMENT", "mkdir /f: not a directory"), self.refused(step, context={"a": b"1"}, into=[{"f": b""}]))

    def test_a_file_takes_the_place_of_a_file(self):
        layer = self.copy("COPY a /f", context={"a": b"1"}, into=[{"f": Entry(b"old", mode=0o600)}])
        self.assertEqual((b"1", 0o644), (layer["f"].data, layer["f"].mode))

    def test_what_a_layer_above_has_removed_is_not_there(self):
        layer = self.copy("COPY a /d/x", context={"a": b"1"}, into=[{"d": None, "d/x": None}, {".wh.d": b""}])
        self.assertEqual(["d", "d/x"], list(layer))
        self.assertEqual(NOW, layer["d"].mtime)


class Links(CopyCase):
    """"Symlinks"."""

    def test_links_on_the_way_to_the_destination_are_followed(self):
        layer = self.copy("COPY a /bin/", context={"a": b"1"}, into=[BASE])
        self.assertEqual(["usr", "usr/bin", "usr/bin/a"], list(layer))

    def test_a_destination_that_is_a_link_is_followed(self):
        layer = self.copy("COPY a /l", context={"a": b"1"}, into=[{"l": "t/x", "t": None}])
        self.assertEqual(["t", "t/x"], list(layer))

    def test_no_link_leads_out_of_the_tree(self):
        for target in ("/../../../usr", "../../usr", "/usr"):
            layer = self.copy("COPY a /d/l/x", context={"a": b"1"}, into=[{"d": None, "d/l": target, "usr": Entry(mode=0o700)}])
            self.assertEqual(["usr", "usr/x"], list(layer))

    def test_a_link_to_what_is_missing_makes_it(self):
        layer = self.copy("COPY a /l/x", context={"a": b"1"}, into=[{"l": "/no/where"}])
        self.assertEqual(["no", "no/where", "no/where/x"], list(layer))

    def test_links_that_go_round_end(self):
        reason, text = self.refused("COPY a /l/x", context={"a": b"1"}, into=[{"l": "m", "m": "l"}])
        self.assertEqual("LIMIT_EXCEEDED", reason)
        self.assertIn("too many levels of symbolic links", text)

    def test_a_source_that_is_a_link_is_followed_and_keeps_its_name(self):
        context = {"d": None, "d/f": b"1", "l": "d/f", "m": "d", "n": "/d/f"}
        for name in ("l", "n"):
            layer = self.copy(f"COPY {name} /x/", context=context)
            self.assertEqual(["x", f"x/{name}"], list(layer))
            self.assertEqual(b"1", layer[f"x/{name}"].data)
        self.assertEqual(["x", "x/f"], list(self.copy("COPY m /x/", context=context)))

    def test_links_in_a_directory_stay_links(self):
        layer = self.copy("COPY d /x/", context={"d": None, "d/l": "/etc/passwd", "d/m": "nowhere"})
        self.assertEqual((tarfile.SYMTYPE, "/etc/passwd", 0o777), (layer["x/l"].kind, layer["x/l"].link, layer["x/l"].mode))
        self.assertEqual("nowhere", layer["x/m"].link)

    def test_a_file_takes_the_place_of_a_link_below_the_destination(self):
        layer = self.copy("COPY a /d/", context={"a": b"1"}, into=[{"d": None, "d/a": "/etc/passwd"}])
        self.assertEqual((tarfile.REGTYPE, b"1"), (layer["d/a"].kind, layer["d/a"].data))

    def test_a_directory_does_not_take_the_place_of_a_link(self):
        reason, text = self.refused("COPY . /x/", context={"d": None, "d/f": b"1"}, into=[{"x": None, "x/d": "/usr"}])
        self.assertEqual(("INVALID_ARGUMENT", "cannot copy to non-directory: /x/d"), (reason, text))

    def test_sources_end_at_the_root_of_the_context(self):
        layer = self.copy("COPY ../../a /l /x/", context={"a": b"1", "l": "../../a"})
        self.assertEqual(["x", "x/a", "x/l"], list(layer))


class Directories(CopyCase):
    """"Directory source", "Source top dir metadata", "mtime", "Ownership", "Modes / special bits"."""

    def test_contents_are_merged_into_what_is_there(self):
        context = {"d": None, "d/s": Entry(mode=0o700), "d/s/new": b"1", "d/a": b"2"}
        layer = self.copy("COPY d /x", context=context, into=[{"x": Entry(mode=0o711, uid=5), "x/s": Entry(mode=0o755, uid=6), "x/s/old": b""}])
        self.assertEqual(["x", "x/a", "x/s", "x/s/new"], list(layer))
        self.assertEqual((0o711, (5, 0)), (layer["x"].mode, layer["x"].owner))
        self.assertEqual((0o700, (0, 0)), (layer["x/s"].mode, layer["x/s"].owner))

    def test_the_top_is_new_and_takes_nothing_over(self):
        layer = self.copy("COPY d /new", context={"d": Entry(mode=0o700, uid=7, gid=8), "d/a": b"1"})
        self.assertEqual((0o755, (0, 0)), (layer["new"].mode, layer["new"].owner))

    def test_children_keep_mode_and_time_but_no_owner(self):
        context = {"d": None, "d/s": Entry(mode=0o2750, uid=7, mtime=11), "d/f": Entry(b"1", mode=0o4755, uid=7, gid=8, mtime=12)}
        layer = self.copy("COPY d /x", context=context)
        self.assertEqual((0o2750, (0, 0), 11), (layer["x/s"].mode, layer["x/s"].owner, layer["x/s"].mtime))
        self.assertEqual((0o4755, (0, 0), 12), (layer["x/f"].mode, layer["x/f"].owner, layer["x/f"].mtime))

    def test_an_empty_directory_is_made(self):
        self.assertEqual(["x"], list(self.copy("COPY d /x", context={"d": None})))
        self.assertEqual([], list(self.copy("COPY d /x", context={"d": None}, into=[{"x": None}])))

    def test_a_file_does_not_take_the_place_of_a_directory(self):
        self.assertEqual(("INVALID_ARGUMENT", "cannot replace to directory /x/a with file"),
                         self.refused("COPY a /x/", context={"a": b"1"}, into=[{"x": None, "x/a": None}]))

    def test_a_directory_does_not_take_the_place_of_a_file(self):
        self.assertEqual(("INVALID_ARGUMENT", "cannot copy to non-directory: /x/d"),
                         self.refused("COPY . /x/", context={"d": None, "d/f": b"1"}, into=[{"x": None, "x/d": b""}]))
        self.assertEqual(("INVALID_ARGUMENT", "cannot copy to non-directory: /x"),
                         self.refused("COPY d /x", context={"d": None, "d/f": b"1"}, into=[{"x": b""}]))

    def test_a_file_and_a_directory_of_the_same_name_from_two_sources(self):
        context = {"a": None, "a/n": b"1", "b": None, "b/n": None, "b/n/f": b"2"}
        self.assertIn("cannot copy to non-directory", self.refused("COPY a b /x/", context=context)[1])
        self.assertIn("cannot replace to directory", self.refused("COPY b a /x/", context=context)[1])

    def test_the_whole_context(self):
        context = {"a": b"1", "a-b": b"2", "a.d": None, "a.d/f": b"3", "b": None, "b/c": None}
        self.assertEqual(sorted(context, key=lambda p: p.split("/")), list(self.copy("COPY . /", context=context)))

    def test_hard_links_stay_one_file(self):
        layer = self.copy("COPY . /x/", context={"a": b"1", "d": None, "d/b": hard_link("a"), "e": hard_link("a")})
        self.assertEqual((tarfile.LNKTYPE, "x/a"), (layer["x/d/b"].kind, layer["x/d/b"].link))
        layer = self.copy("COPY d e /x/", context={"a": b"1", "d": None, "d/b": hard_link("a"), "e": hard_link("a")})
        self.assertEqual([b"1", b"1"], [layer["x/b"].data, layer["x/e"].data])

    def test_attributes_of_users_stay_and_others_go(self):
        xattrs = {"user.b": "2", "user.a": "1", "trusted.x": "y", "security.selinux": "z"}
        layer = self.copy("COPY . /", context={"a": Entry(b"1", xattrs=xattrs)})
        self.assertEqual({"user.a": "1", "user.b": "2"}, layer["a"].xattrs)

    def test_names_are_bytes(self):
        for name in ("\udcff\udcfe", "a b\nc", "\u00e4\u4e2d", "a\\*?["):
            layer = self.copy("COPY . /x/", context={name: b"1"})
            self.assertEqual(["x", f"x/{name}"], list(layer))

    def test_names_that_layers_cannot_have(self):
        reason, text = self.refused("COPY . /", context={".wh.a": b""})
        self.assertEqual("UNSUPPORTED_CONTENT", reason)
        self.assertIn("/.wh.a: a layer cannot have a file of this name", text)


class Wildcards(CopyCase):
    CONTEXT = {"a.txt": b"1", "b.txt": b"2", "c.md": b"3", "d": None, "d/e.txt": b"4", "d/f.d": None, "d/f.d/g": b"5", "l.txt": "d"}

    def test_names(self):
        for pattern, names in (("*.txt", ["a.txt", "b.txt", "e.txt", "f.d", "f.d/g"]), ("?.md", ["c.md"]), ("[ab].txt", ["a.txt", "b.txt"]),
                               ("[^a-b].*", ["c.md", "e.txt", "f.d", "f.d/g"]), ("*/*.txt", ["e.txt"]), ("d/*", ["e.txt", "g"]), ("d/f*/g", ["g"]), ("\\a*", ["a.txt"])):
            layer = self.copy(f"COPY {pattern} /x/", context=self.CONTEXT)
            self.assertEqual(names, [n[2:] for n in layer if n != "x"], pattern)

    def test_two_stars_are_one(self):
        self.assertEqual(["x", "x/e.txt"], list(self.copy("COPY **/e.txt /x/", context=self.CONTEXT)))
        self.assertEqual([], list(self.copy("COPY **/g /x/", context=self.CONTEXT)))

    def test_that_match_nothing_make_an_empty_layer(self):
        self.assertEqual({}, self.copy("COPY no* no/* /x/", context=self.CONTEXT))
        self.assertEqual(1024, os.path.getsize(self.tar))

    def test_one_match_without_a_slash_is_renamed(self):
        self.assertEqual(["x"], list(self.copy("COPY a* /x", context=self.CONTEXT)))

    def test_of_several_matches_without_a_slash_the_last_one_is_left(self):
        layer = self.copy("COPY [ab].txt /x", context=self.CONTEXT)
        self.assertEqual(b"2", layer["x"].data)

    def test_a_literal_source_must_be_there(self):
        self.assertEqual(("NOT_FOUND", '"/nosuch": not found'), self.refused("COPY a.txt nosuch /x/", context=self.CONTEXT))

    def test_why_it_is_not_there(self):
        said = self.refused("COPY b.log /", context={"a": b""}, ignore="# comment\n!x\n*.log\n")
        self.assertEqual(("NOT_FOUND", '"/b.log": not found (excluded by line 3 of .dockerignore: "*.log")'), said)

    def test_bad_pattern(self):
        self.assertEqual(("INVALID_ARGUMENT", "syntax error in pattern"), self.refused("COPY a[ /x/", context=self.CONTEXT))


class Options(CopyCase):
    """--chown, --chmod, --link, --parents, --exclude."""

    def test_chown(self):
        for text, owner in (("1", (1, 1)), ("1:2", (1, 2)), ("mail", (8, 12)), ("mail:33", (8, 33)), (":50", (0, 50)), ("bob:staff", (1000, 50)), ("7:mail", (7, 12))):
            layer = self.copy(f"COPY --chown={text} d /x/y/", context={"d": None, "d/f": b"1", "d/s": None, "d/l": "f"}, into=[BASE])
            self.assertEqual({owner}, {e.owner for e in layer.values()}, text)
            self.assertEqual(["x", "x/y", "x/y/f", "x/y/l", "x/y/s"], list(layer))

    def test_chown_leaves_directories_that_are_there(self):
        layer = self.copy("COPY --chown=1:2 d /x/", context={"d": None, "d/f": b"1"}, into=[{"x": Entry(uid=9)}])
        self.assertEqual([(9, 0), (1, 2)], [layer["x"].owner, layer["x/f"].owner])

    def test_chown_of_nobody(self):
        self.assertEqual(("INVALID_ARGUMENT", "unable to find user eve: no matching entries in passwd file"),
                         self.refused("COPY --chown=eve a /x", context={"a": b"1"}, into=[BASE]))
        self.assertEqual(("INVALID_ARGUMENT", "unable to find group eve: no matching entries in group file"),
                         self.refused("COPY --chown=mail:eve a /x", context={"a": b"1"}, into=[BASE]))
        self.assertEqual("INVALID_ARGUMENT", self.refused("COPY --chown=mail a /x", context={"a": b"1"})[0])

    def test_names_are_of_the_image_whatever_links_lead_to(self):
        base = {"etc": None, "etc/passwd": "../../../lib/p", "lib": None, "lib/p": b"eve:x:3:4::/:\n"}
        self.assertEqual((3, 4), self.copy("COPY --chown=eve a /x", context={"a": b"1"}, into=[base])["x"].owner)

    def test_chmod(self):
        context = {"d": None, "d/f": Entry(b"1", mode=0o4711), "d/g": Entry(b"1", mode=0o600), "d/s": Entry(mode=0o750), "d/l": "f"}
        for text, f, g, s, made in (("640", 0o640, 0o640, 0o640, 0o750), ("07777", 0o7777, 0o7777, 0o7777, 0o755), ("770", 0o770, 0o770, 0o770, 0o750),
                                    ("u=rwX,go=rX", 0o755, 0o644, 0o755, 0o755), ("a+r,g-x", 0o4745, 0o644, 0o744, 0o755)):
            layer = self.copy(f"COPY --chmod={text} d /x/", context=context)
            self.assertEqual((f, g, s, 0o777, made), tuple(layer[n].mode for n in ("x/f", "x/g", "x/s", "x/l", "x")), text)

    def test_link_does_not_look_at_the_tree(self):
        layer = self.copy("COPY --link a /bin/", context={"a": b"1"})
        self.assertEqual(["bin", "bin/a"], list(layer))

    CONTEXT = {"x": None, "x/a.txt": b"1", "x/y": Entry(mode=0o710), "x/y/b.txt": b"2", "x/y/c.md": b"3", "z": None, "z/d.txt": b"4"}

    def test_parents(self):
        cases = (("./x/a.txt ./x/y/b.txt", ["x", "x/a.txt", "x/y", "x/y/b.txt"]), ("x/y", ["x", "x/y", "x/y/b.txt", "x/y/c.md"]), ("x/./y/b.txt", ["y", "y/b.txt"]),
                 ("x/./y/*.md", ["y", "y/c.md"]), ("**/*.txt", ["x", "x/a.txt", "x/y", "x/y/b.txt", "z", "z/d.txt"]), ("./x/./y/b.txt z/d.txt", ["y", "y/b.txt", "z", "z/d.txt"]),
                 ("no*", []))
        for sources, names in cases:
            layer = self.copy(f"COPY --parents {sources} /t/", context=self.CONTEXT)
            self.assertEqual(names, [n[2:] for n in layer if n != "t"], sources)

    def test_parents_keep_the_mode_of_directories(self):
        self.assertEqual(0o710, self.copy("COPY --parents x/y/b.txt /t/", context=self.CONTEXT)["t/x/y"].mode)

    def test_parents_of_what_is_not_there(self):
        self.assertEqual("NOT_FOUND", self.refused("COPY --parents x/nosuch /t/", context=self.CONTEXT)[0])

    def test_exclude(self):
        cases = (("--exclude=*.txt . /t/", ["x", "x/a.txt", "x/y", "x/y/b.txt", "x/y/c.md", "z", "z/d.txt"]), ("--exclude=**/*.txt . /t/", ["x", "x/y", "x/y/c.md", "z"]),
                 ("--exclude=x . /t/", ["z", "z/d.txt"]), ("--exclude=y x /t/", ["a.txt"]), ("--exclude=x --exclude=!x/y/c.md . /t/", ["x", "x/y", "x/y/c.md", "z", "z/d.txt"]),
                 ("--exclude=*.md x/y/* /t/", ["b.txt"]))
        for words, names in cases:
            layer = self.copy(f"COPY {words}", context=self.CONTEXT)
            self.assertEqual(names, [n[2:] for n in layer if n != "t"], words)


class Stages(CopyCase):
    """"--from", "Ownership" of stages, "Sockets/FIFOs/devices"."""

    STAGE = [
        {"d": Entry(mode=0o700, uid=4), "d/a": Entry(b"one", uid=1, gid=2, mode=0o4755, xattrs={"user.k": "v"}), "d/b": hard_link("d/a"),
         "d/fifo": Entry(kind=tarfile.FIFOTYPE, mode=0o640), "d/null": Entry(kind=tarfile.CHRTYPE, device=(1, 3), mode=0o666), "d/l": "a", "gone": b"x", "big": b"x" * 300_000},
        {".wh.gone": b"", "d": Entry(mode=0o711, uid=5), "d/c": b"two", "l": "d/a"},
    ]

    def test_files_keep_their_owners_and_the_top_does_not(self):
        layer = self.copy("COPY --from=0 /d /x", stages=[self.STAGE])
        self.assertEqual(["x", "x/a", "x/b", "x/c", "x/fifo", "x/l", "x/null"], list(layer))
        self.assertEqual(((0, 0), 0o755), (layer["x"].owner, layer["x"].mode))
        self.assertEqual(((1, 2), 0o4755, b"one", {"user.k": "v"}), (layer["x/a"].owner, layer["x/a"].mode, layer["x/a"].data, layer["x/a"].xattrs))
        self.assertEqual((tarfile.LNKTYPE, "x/a"), (layer["x/b"].kind, layer["x/b"].link))
        self.assertEqual((tarfile.FIFOTYPE, tarfile.CHRTYPE, (1, 3)), (layer["x/fifo"].kind, layer["x/null"].kind, layer["x/null"].device))

    def test_what_is_removed_is_not_there(self):
        self.assertEqual(("NOT_FOUND", '"/gone": not found'), self.refused("COPY --from=0 /gone /", stages=[self.STAGE]))

    def test_large_files_and_links(self):
        layer = self.copy("COPY --from=0 big l /", stages=[self.STAGE])
        self.assertEqual((b"x" * 300_000, b"one"), (layer["big"].data, layer["l"].data))

    def test_wildcards(self):
        self.assertEqual(["x", "x/a", "x/b", "x/c"], list(self.copy("COPY --from=0 /d/[abc] /x/", stages=[self.STAGE])))

    def test_all_of_it(self):
        layer = self.copy("COPY --from=0 / /", stages=[self.STAGE])
        self.assertEqual(["big", "d", "d/a", "d/b", "d/c", "d/fifo", "d/l", "d/null", "l"], list(layer))
        self.assertEqual(((5, 0), 0o711), (layer["d"].owner, layer["d"].mode))

    def test_parents(self):
        layer = self.copy("COPY --parents --from=0 /d/a /x/", stages=[self.STAGE])
        self.assertEqual(["x", "x/d", "x/d/a"], list(layer))
        self.assertEqual((5, 0), layer["x/d"].owner)

    def test_long_names_and_large_numbers(self):
        long = "n" * 200
        stage = {"d": None, f"d/{long}": None, f"d/{long}/{long}": Entry(b"1", uid=3_000_000, gid=4_000_000_000, mtime=-5), "d/l": Entry(kind=tarfile.SYMTYPE, link="t" * 300)}
        layer = self.copy("COPY --from=0 /d /x", stages=[[stage]])
        e = layer[f"x/{long}/{long}"]
        self.assertEqual((3_000_000, 4_000_000_000, -5, b"1"), (e.uid, e.gid, e.mtime, e.data))
        self.assertEqual("t" * 300, layer["x/l"].link)

    def test_an_empty_stage(self):
        self.assertEqual("NOT_FOUND", self.refused("COPY --from=0 /a /", stages=[[]])[0])
        self.assertEqual({}, self.copy("COPY --from=0 / /", stages=[[]]))

    def test_a_large_directory(self):
        stage = {"d": None, **{f"d/{i:05}": b"" for i in range(20_000)}}
        names = ["d/00000", "d/09999", "d/19999"]
        layer = self.copy(f"COPY --from=0 {' '.join(names)} /d/", stages=[[stage, {"d/09999": b"new"}]])
        self.assertEqual(["d", *names], list(layer))
        self.assertEqual(b"new", layer["d/09999"].data)
        self.assertEqual("NOT_FOUND", self.refused("COPY --from=0 d/20000 /", stages=[[stage]])[0])


class Archives(CopyCase):
    """"ADD local tar", "ADD --unpack"."""

    TREE = {"d": Entry(mode=0o700, uid=3, gid=4), "d/f": Entry(b"1", uid=1, gid=2, mode=0o4711), "d/h": Entry(kind=tarfile.LNKTYPE, link="d/f", mode=0o4711, uid=1, gid=2), "l": "d/f", "no/entry/x": Entry(b"2", uid=9)}

    def forms(self):
        tar = make_tar(self.TREE)
        zstd = subprocess.run(["zstd", "-qc"], input=tar, stdout=subprocess.PIPE, check=True, timeout=60 * SLOW).stdout
        return {"plain": tar, "gzip": gzip.compress(tar), "bzip2": bz2.compress(tar), "xz": lzma.compress(tar), "zstd": zstd}

    def test_every_compression_by_content(self):
        for form, data in self.forms().items():
            layer = self.copy("ADD archive /x", context={"archive": data})
            self.assertEqual(["x", "x/d", "x/d/f", "x/d/h", "x/l", "x/no", "x/no/entry", "x/no/entry/x"], list(layer), form)
            self.assertEqual([(3, 4), (1, 2), (0, 0), (9, 0)], [layer[n].owner for n in ("x/d", "x/d/f", "x/no", "x/no/entry/x")])
            self.assertEqual((0o4711, b"1", tarfile.LNKTYPE), (layer["x/d/f"].mode, layer["x/d/f"].data, layer["x/d/h"].kind))

    def test_chown_counts(self):
        layer = self.copy("ADD --chown=5:6 archive /x/", context={"archive": make_tar(self.TREE)})
        self.assertEqual({(5, 6)}, {e.owner for e in layer.values()})

    def test_what_it_has_takes_the_place_of_what_is_there(self):
        tree = {"f": b"1", "d": None, "d/x": b"2"}
        layer = self.copy("ADD a.tar /t/", context={"a.tar": make_tar(tree)}, into=[{"t": None, "t/f": None, "t/f/old": b"", "t/d": "f"}])
        self.assertEqual(["t", "t/d", "t/d/x", "t/f"], list(layer))

    def test_directories_that_it_does_not_name_stay_as_they_are(self):
        layer = self.copy("ADD a.tar /", context={"a.tar": make_tar({"etc/new": b"1"})}, into=[{"etc": Entry(mode=0o711, uid=8)}])
        self.assertEqual((0o711, (8, 0)), (layer["etc"].mode, layer["etc"].owner))

    def test_links_of_the_tree_are_followed_to_what_has_no_directory_of_its_own(self):
        layer = self.copy("ADD a.tar /", context={"a.tar": make_tar({"a": b"0", "bin/x": b"1", "bin/s/y": b"2", "z/f": b"3"})}, into=[BASE])
        self.assertEqual(["a", "z", "z/f", "usr", "usr/bin", "usr/bin/s", "usr/bin/s/y", "usr/bin/x"], list(layer))
        layer = self.copy("ADD a.tar /", context={"a.tar": make_tar({"bin": None, "bin/x": b"1"})}, into=[BASE])
        self.assertEqual(["bin", "bin/x"], list(layer))

    def test_what_is_no_archive_is_copied(self):
        context = {"a.gz": gzip.compress(b"text"), "a.tar": b"no tar at all", "empty": b"", "zeros": bytes(10240), "cut": gzip.compress(make_tar(self.TREE))[:12]}
        layer = self.copy("ADD a.gz a.tar empty zeros cut /x/", context=context)
        self.assertEqual(context, {n[2:]: e.data for n, e in layer.items() if n != "x"})

    def test_a_damaged_archive_fails(self):
        data = gzip.compress(make_tar({f"f{i}": os.urandom(3000) for i in range(40)}))
        reason, text = self.refused("ADD a.tgz /x/", context={"a.tgz": data[: len(data) // 2]})
        self.assertEqual("INVALID_CONTENT", reason)
        self.assertIn("failed to unpack /a.tgz", text)

    def test_unpack_off(self):
        data = make_tar(self.TREE)
        self.assertEqual(data, self.copy("ADD --unpack=false a.tar /x/", context={"a.tar": data})["x/a.tar"].data)

    def test_copy_unpacks_nothing(self):
        data = make_tar(self.TREE)
        self.assertEqual(data, self.copy("COPY a.tar /x/", context={"a.tar": data})["x/a.tar"].data)

    def test_names_that_lead_out_are_refused(self):
        self.assertEqual("INVALID_CONTENT", self.refused("ADD a.tar /x/", context={"a.tar": make_tar({"../../etc/passwd": b"1"})})[0])

    def test_a_directory_is_copied(self):
        self.assertEqual(["x", "x/a.tar"], list(self.copy("ADD d /x/", context={"d": None, "d/a.tar": make_tar(self.TREE)})))


class HereDocuments(CopyCase):
    def test_files(self):
        step = "COPY --chown=1:2 <<a.txt <<-b.txt /x/\none\na.txt\n\ttwo\nb.txt"
        layer = self.copy(step, epoch=77)
        self.assertEqual(["x", "x/a.txt", "x/b.txt"], list(layer))
        self.assertEqual((b"one\n", b"two\n", 0o644, (1, 2), 77), (layer["x/a.txt"].data, layer["x/b.txt"].data, layer["x/a.txt"].mode, layer["x/a.txt"].owner, layer["x/a.txt"].mtime))

    def test_renamed(self):
        self.assertEqual(["x"], list(self.copy("COPY <<EOF /x\nhi\nEOF")))


class Workdir(CopyCase):
    def test_makes_what_is_missing(self):
        layer = self.copy("WORKDIR /a/b", into=[{"a": Entry(mode=0o700)}])
        self.assertEqual(["a", "a/b"], list(layer))
        self.assertEqual((0o700, 0o755, NOW, (0, 0)), (layer["a"].mode, layer["a/b"].mode, layer["a/b"].mtime, layer["a/b"].owner))

    def test_belongs_to_the_user(self):
        for user, owner in (("bob", (1000, 1001)), ("7", (7, 7)), ("bob:staff", (1000, 50))):
            layer = self.copy("WORKDIR", dockerfile=f"FROM scratch\nUSER {user}\nWORKDIR /a/b\n", into=[BASE], epoch=5)
            self.assertEqual([owner, owner, 5], [layer["a"].owner, layer["a/b"].owner, layer["a"].mtime])

    def test_that_is_there(self):
        self.assertEqual({}, self.copy("WORKDIR /bin", into=[BASE]))
        self.assertEqual(1024, os.path.getsize(self.tar))

    def test_through_links(self):
        self.assertEqual(["usr", "usr/bin", "usr/bin/x"], list(self.copy("WORKDIR /bin/x", into=[BASE])))

    def test_that_is_a_file(self):
        self.assertEqual(("INVALID_ARGUMENT", "mkdir /f: not a directory"), self.refused("WORKDIR /f", into=[{"f": b""}]))
        self.assertEqual(("INVALID_ARGUMENT", "mkdir /f: not a directory"), self.refused("WORKDIR /f/g", into=[{"f": b""}]))


class Keys(CopyCase):
    """2.1: what counts, and what does not."""

    CONTEXT = {"d": Entry(mode=0o755), "d/f": Entry(b"1", mode=0o644), "d/s": None, "d/l": "f", "other": b"x"}

    def changed(self, **changes):
        return self.digest("COPY d /x/", context={**self.CONTEXT, **changes})

    def test_of_a_context(self):
        before = self.changed()
        for change in ({"d/f": Entry(b"1", mtime=5)}, {"d/f": Entry(b"1", uid=5, gid=6)}, {"other": b"y"}, {"d": Entry(mode=0o700)}, {"new": b""}):
            self.assertEqual(before, self.changed(**change), change)
        for change in ({"d/f": Entry(b"2")}, {"d/f": Entry(b"1", mode=0o755)}, {"d/g": b""}, {"d/s": Entry(mode=0o700)}, {"d/l": "g"}, {"d/f": Entry(b"1", xattrs={"user.a": "b"})}):
            self.assertNotEqual(before, self.changed(**change), change)

    def test_of_a_stage(self):
        stage = lambda **e: self.digest("COPY --from=0 /d /x/", stages=[[{"d": None, "d/f": Entry(b"1", **e)}]])
        self.assertEqual(stage(), stage(mtime=5))
        self.assertEqual(4, len({str(d) for d in (stage(), stage(uid=1), stage(mode=0o600), stage(xattrs={"user.a": "b"}))}))

    def test_the_same_files_in_other_layers_are_the_same(self):
        one = self.digest("COPY --from=0 /d /x/", stages=[[{"d": None, "d/a": b"1", "d/b": b"2"}]])
        two = self.digest("COPY --from=0 /d /x/", stages=[[{"d": None, "d/a": b"0", "d/c": b""}, {"d": None, "d/a": b"1", "d/b": b"2", "d/.wh.c": b""}]])
        self.assertEqual(one, two)

    def test_names_of_files_count_and_patterns_select(self):
        context = {"a": b"1", "b": b"1", "c": b"2"}
        self.assertNotEqual(self.digest("COPY a /x/", context=context), self.digest("COPY b /x/", context=context))
        self.assertEqual(self.digest("COPY [ab] /x/", context=context), self.digest("COPY [ab] /x/", context={**context, "c": b"3"}))
        excluding = lambda c: self.digest("COPY --exclude=c . /x/", context={**context, "c": c})
        self.assertEqual(excluding(b"4"), excluding(b"5"))

    def test_layers_are_the_same_bytes_each_time(self):
        tars = []
        for _ in range(2):
            self.copy("COPY . /x/", context=self.CONTEXT)
            with open(self.tar, "rb") as file:
                tars.append(file.read())
        self.assertEqual(*tars)


class Subtrees(CopyCase):
    """What a RUN's bind mount stands on."""

    def subtree(self, path, **fields):
        return self.copy("COPY x /x", subtree=path, **fields)

    CONTEXT = {"a": Entry(mode=0o700), "a/b": Entry(mode=0o710), "a/b/f": Entry(b"1", uid=4), "a/g": b"2", "l": "a/b"}

    def test_of_a_context(self):
        self.assertEqual(["a", "a/b", "a/b/f"], list(self.subtree("/a/b", context=self.CONTEXT)))
        self.assertEqual(["a", "a/b", "a/b/f"], list(self.subtree("a/b/f", context=self.CONTEXT)))
        layer = self.subtree("/", context=self.CONTEXT)
        self.assertEqual(["a", "a/b", "a/b/f", "a/g", "l"], list(layer))
        self.assertEqual((0o710, (0, 0)), (layer["a/b"].mode, layer["a/b/f"].owner))

    def test_through_a_link(self):
        layer = self.subtree("/l", context=self.CONTEXT)
        self.assertEqual(["l", "l/f"], list(layer))
        self.assertEqual(tarfile.DIRTYPE, layer["l"].kind)

    def test_of_a_stage(self):
        layer = self.subtree("/a/b", stages=[[self.CONTEXT]])
        self.assertEqual((4, 0), layer["a/b/f"].owner)

    def test_its_digest_counts_the_top(self):
        def digest(mode):
            self.subtree("/a/b", context={**self.CONTEXT, "a/b": Entry(mode=mode)})
            return self.digests

        self.assertNotEqual(digest(0o710), digest(0o700))

    def test_of_nothing(self):
        said = self.run_request(self.request("COPY x /x", subtree="/nosuch", context=self.CONTEXT))
        self.assertEqual({"reason": "NOT_FOUND", "text": '"/nosuch": not found'}, said)


if __name__ == "__main__":
    unittest.main()
