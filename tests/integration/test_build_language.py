"""The language of Dockerfiles: how files, words and patterns are read, against tables of
our own and, where they are there, against what the tests of other builders expect."""

import base64
import glob
import json
import os
import re
import unittest

import dockerfile

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/cases/build")


# The image that all builds stand on; that of the recordings.
BASE = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
    "history": [{"comment": "Imported from -"}],
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + 64 * "0"]},
}

# Refusals that are not about the language.
OF_FILES = ("did not complete", "failed to compute cache key", "lstat ", "statat ", "cannot copy to", "cannot replace to")

# Recorded as a refusal, and built here: FROM names a stage in another case (build.md 1.3).
ACCEPTED = ("kaniko/Dockerfile_test_issue_519.json",)


class LanguageCase(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.language = dockerfile.Language()

    @classmethod
    def tearDownClass(cls):
        status = cls.language.close()
        assert status == 0, status

    def ask(self, op, **request):
        return self.language.ask(op, **request)

    def build(self, text, **request):
        request.setdefault("base", BASE)
        return self.ask("build", text=text, **request)

    def good(self, text, **request):
        got = self.build(text, **request)
        self.assertNotIn("error", got, got.get("error"))
        return got

    def target(self, text, **request):
        """The stage that the build is about."""
        got = self.good(text, **request)
        return got["stages"][got["target"]]

    def config(self, text, **request):
        return self.target(text, **request)["image"]["config"]

    def history(self, text, **request):
        """Without that of the base."""
        return [entry["created_by"] for entry in self.target(text, **request)["image"]["history"][1:]]

    def refused(self, text, message, lines=None, **request):
        got = self.build(text, **request)
        self.assertEqual(message, got.get("error"), got)
        if lines:
            self.assertEqual(lines, got["lines"])

    def table(self, name):
        path = os.path.join(SHARED, "tables", name)
        if not os.path.exists(path):
            self.skipTest(f"{path} is not there")
        with open(path, encoding="utf-8") as file:
            return json.load(file) if name.endswith(".json") else file.read()

    def folder(self, *names):
        path = os.path.join(SHARED, *names)
        if not os.path.isdir(path):
            self.skipTest(f"{path} is not there")
        return path


class SharedTables(LanguageCase):
    """Rows that were written for BuildKit."""

    def test_parser_testfiles(self):
        folder = self.folder("parser", "testfiles")
        for name in sorted(os.listdir(folder)):
            with self.subTest(name):
                with open(os.path.join(folder, name, "Dockerfile"), encoding="utf-8", newline="") as file:
                    got = self.ask("tree", text=file.read())
                with open(os.path.join(folder, name, "result"), encoding="utf-8") as file:
                    self.assertEqual(file.read().strip(), got.get("dump", got).strip())

    def test_parser_testfiles_that_are_wrong(self):
        folder = self.folder("parser", "testfiles-negative")
        for name in sorted(os.listdir(folder)):
            with self.subTest(name):
                with open(os.path.join(folder, name, "Dockerfile"), encoding="utf-8", newline="") as file:
                    self.assertIn("error", self.ask("tree", text=file.read()))

    def test_shell_lex(self):
        for row in self.table("shell-lex.json"):
            env = row["envs"] or {}
            with self.subTest(row["input"], env=env):
                got = self.ask("expand", word=row["input"], env=env)
                self.assertEqual(row["error"], "error" in got, got)
                if not row["error"]:
                    self.assertEqual(row["expected"], got["value"])
                    self.assertEqual(sorted(row["matched"]), sorted(got["matched"]))
                    self.assertEqual(sorted(row["unmatched"]), sorted(got["unmatched"]))

    def test_words_of_what_is_expanded(self):
        """Without quotes and escapes, blanks divide the words, also those of values."""
        rows = [row for row in self.table("shell-lex.json") if not row["error"] and not set("\"'\\") & set(row["input"])]
        self.assertGreater(len(rows), 20)
        for row in rows:
            with self.subTest(row["input"], env=row["envs"]):
                self.assertEqual(row["expected"].split(), self.ask("expand", word=row["input"], env=row["envs"] or {})["words"])

    def test_heredoc_words(self):
        table = self.table("heredoc.json")
        valid, invalid, other = table["TestParseHeredocHelpers"]
        for words, is_one, is_wrong in ((valid, True, False), (invalid, False, True), (other, False, False)):
            for word in words:
                with self.subTest(word):
                    got = self.ask("heredoc", word=word)
                    self.assertEqual((is_one, is_wrong), (got["is"], "error" in got), got)
        for row in table["TestHeredocsFromLine"][0]:
            with self.subTest(row["line"]):
                got = self.ask("heredoc", line=row["line"])
                self.assertEqual(row["heredocNames"] or [], got["names"])

    def test_heredoc_contents(self):
        """Each row as an instruction whose documents are those that it expects."""
        plain = {"Name": "", "Content": "", "Expand": False, "Chomp": False, "FileDescriptor": 0}
        for row in self.table("heredoc.json")["TestParseExtractsHeredoc"][0]:
            documents = [{**plain, **document} for document in row or []]
            words = " ".join(self.heredoc_word(document) for document in documents)
            text = f"RUN {words or 'true'}\n" + "".join(f"{d['Content']}{d['Name']}\n" for d in documents) + "USER u\n"
            with self.subTest(words):
                got = self.ask("tree", text=text)
                self.assertNotIn("error", got)
                self.assertEqual([documents, []], got["heredocs"])

    def heredoc_word(self, document):
        """As it stands behind <<, so that it has this name and is expanded or not."""
        name = document["Name"]
        if document["Expand"]:
            quoted = name.replace("'", "\\'")
        else:
            quoted = f'"{name}"' if "'" in name else f"'{name}'"
        return f"{document['FileDescriptor'] or ''}<<{'-' if document['Chomp'] else ''}{quoted}"

    def test_json_arrays(self):
        """Whatever begins like one in the cases' Dockerfiles; Python's parser is the referee."""
        found = set()
        for path in glob.glob(os.path.join(self.folder("cases"), "*", "*.json")):
            with open(path, encoding="utf-8") as file:
                case = json.load(file)
            for entry in case["context"]:
                if entry["path"] == case["dockerfile"]:
                    found.update(re.findall(r"(?m)^\w+[ \t]+(\[.*)$", entry.get("content") or ""))
        self.assertGreater(len(found), 30)
        for text in sorted(found):
            with self.subTest(text):
                got, array = self.ask("json", text=text), self.json_array(text)
                if array is None or all(isinstance(item, str) for item in array):
                    self.assertEqual((array is not None, array or []), (got["is"], got["words"]))
                else:
                    self.assertIn("strings only", got["error"])

    def json_array(self, text):
        try:
            return json.loads(text)
        except ValueError:
            return None

    def test_ports(self):
        table = self.table("expose-ports.json")
        for row in table["TestParsePortEmptyContainerPort"][0]:
            with self.subTest(row["name"]):
                self.assertEqual(row["expError"], self.ask("port", spec=row["spec"]).get("error"))
        for row in table["TestPartPortIPV6"][0]:
            with self.subTest(row["name"]):
                self.assertEqual(row["expected"], self.ask("port", spec=row["spec"])["ports"])
        for name in ("TestParsePorts", "TestParsePortsWithRange"):
            *pairs, refused = table[name]
            for specs, expected in zip(pairs[::2], pairs[1::2]):
                with self.subTest(specs):
                    self.assertEqual(expected, [p for spec in specs for p in self.ask("port", spec=spec)["ports"]])
            for spec in refused:
                with self.subTest(spec):
                    self.assertIn("error", self.ask("port", spec=spec))

    def test_git_references(self):
        for row in self.table("git-ref.json")["TestParseGitRef"][0]:
            with self.subTest(row["ref"]):
                got = self.ask("git", ref=row["ref"])
                if row.get("expected"):
                    self.assertTrue(got["is"], got)
                    for name in ("Remote", "ShortName", "Ref", "SubDir", "Checksum", "MTime"):
                        self.assertEqual(row["expected"].get(name, ""), got[name])
                    for name in ("IndistinguishableFromLocal", "UnencryptedTCP", "FetchByCommit"):
                        self.assertEqual(row["expected"].get(name, False), got[name])
                elif row.get("err"):
                    self.assertIn(row["err"], got.get("error", ""))
                else:
                    self.assertFalse(got["is"])

    def test_ignore_patterns(self):
        table = self.table("patternmatcher.json")
        for row in table["match_or_parent"]:
            with self.subTest(row):
                self.assertEqual(row["excluded"], self.ask("ignore", patterns=row["patterns"], path=row["path"])["excluded"])
        for row in table["match"]:
            with self.subTest(row):
                got = self.ask("ignore", patterns=[row["pattern"]], path=row["path"])
                self.assertEqual(bool(row.get("error")), "error" in got)
                if not row.get("error"):
                    self.assertEqual(row["match"], got["excluded"])

    def test_recorded_builds(self):
        """What BuildKit recorded of each case's configuration and history, or its refusal."""
        folder = self.folder("golden")
        for name in sorted(f"{kind}/{file}" for kind in os.listdir(folder) for file in os.listdir(os.path.join(folder, kind))):
            with self.subTest(name), open(os.path.join(folder, name), encoding="utf-8") as file:
                self.check_recording(name, json.load(file))

    def check_recording(self, name, recorded):
        with open(os.path.join(SHARED, "cases", name), encoding="utf-8") as file:
            case = json.load(file)
        files = {entry["path"]: entry.get("content") or "" for entry in case["context"]}
        got = self.ask(
            "build",
            text=re.sub(r"(?im)^#\s*syntax\s*=.*\n", "", files[case["dockerfile"]], count=1),
            args=case.get("build_args") or {},
            target=case.get("target") or "",
            ignore=files.get(".dockerignore", ""),
            base=BASE,
        )
        if recorded["rc"] == 0:
            self.assertNotIn("error", got, got.get("error"))
            self.check_image(recorded, got["stages"][got["target"]]["image"])
        elif any(text in recorded["error_tail"] for text in OF_FILES):
            self.assertNotIn("error", got)
        elif name not in ACCEPTED:
            self.assertIn(recorded["error_tail"], got.get("error", ""))

    def check_image(self, recorded, image):
        for key, value in recorded["config"].items():
            mine = (image if key in ("author", "os", "architecture") else image["config"]).get(key)
            if key == "WorkingDir":
                value, mine = (value or "").replace("/", "", value == "/"), (mine or "").replace("/", "", mine == "/")
            self.assertEqual(value or None, mine or None, key)
        for key in ("created_by", "empty_layer"):
            self.assertEqual([e.get(key) for e in recorded["history"]], [e.get(key) for e in image["history"]])


class Files(LanguageCase):
    """build.md 1.1"""

    def test_lines(self):
        for text, dump in (
            ("from x", '(from "x")'),
            ("\ufeffFROM x", '(from "x")'),
            ("FROM x\r\nRUN a \\\r\n b\r\n", '(from "x")\n(run "a  b")'),
            ("  # c\n\tFROM x", '(from "x")'),
            ("RUN a # b", '(run "a # b")'),
            ("RUN a \\\n# c\n  # d\nb", '(run "a b")'),
            ("RUN a \\\n\n b", '(run "a  b")'),
            ("RUN " + "x" * 200000, '(run "' + "x" * 200000 + '")'),
            ("RUN a\\", '(run "a")'),
            ("RUN a \\   \n b", '(run "a  b")'),
            ("NOPE a b", "(nope)"),
        ):
            with self.subTest(text[:40]):
                self.assertEqual(dump, self.ask("tree", text=text)["dump"].strip())

    def test_places_are_those_of_the_file(self):
        got = self.ask("tree", text="# c\n\nFROM x\nRUN a \\\n# c\n b\n\nRUN <<E\nx\nE\nUSER u\n")
        self.assertEqual([[3, 3], [4, 6], [8, 10], [11, 11]], got["places"])

    def test_errors_name_the_line(self):
        for text, message, lines in (
            ("", "the Dockerfile cannot be empty", None),
            ("# a\n\n", "file with no instructions", None),
            ("ARG a", "dockerfile contains no stages to build", None),
            ("RUN a\nFROM x", "no build stage in current context", [1, 1]),
            ("FROM x\nRUUN a", "dockerfile parse error on line 2: unknown instruction: RUUN (did you mean RUN?)", [2, 2]),
            ("FROM x\nruun a", "dockerfile parse error on line 2: unknown instruction: ruun (did you mean run?)", [2, 2]),
            ("FROM x\nFOOBAR a", "dockerfile parse error on line 2: unknown instruction: FOOBAR", [2, 2]),
            ("FROM x\nCOPY --form=y a b", "dockerfile parse error on line 2: unknown flag: --form (did you mean from?)", [2, 2]),
            (
                "FROM x\nCOPY --link=maybe a b",
                "dockerfile parse error on line 2: expecting boolean value for flag --link, not: maybe",
                [2, 2],
            ),
            ("FROM x\nCOPY --link= a b", "dockerfile parse error on line 2: missing a value on flag: --link", [2, 2]),
            ("FROM x\nCOPY --from a b", "dockerfile parse error on line 2: missing a value on flag: --from", [2, 2]),
            ("FROM x\nCOPY --from=a --from=b a b", "dockerfile parse error on line 2: duplicate flag specified: --from", [2, 2]),
            ("FROM x\nENV --a b=c", "dockerfile parse error on line 2: unknown flag: --a", [2, 2]),
            ("FROM x\n\nENV a", "ENV must have two arguments", [3, 3]),
            (
                "FROM x\nCOPY a",
                "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
                [2, 2],
            ),
            ("FROM x\nSHELL a", "dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form", [2, 2]),
            ("FROM x\nSHELL []", "dockerfile parse error on line 2: SHELL requires at least one argument", [2, 2]),
            ("FROM x y", "dockerfile parse error on line 1: FROM requires either one or three arguments", [1, 1]),
            (
                "FROM x AS 1a",
                "dockerfile parse error on line 1: invalid name for build stage: \"1a\", name can't start with a number or contain symbols",
                [1, 1],
            ),
            ("FROM x\nRUN <<E\na\n", "unterminated heredoc", [2, 3]),
            ("# escape=x\nFROM x", "invalid escape token 'x' does not match ` or \\", [1, 1]),
            ("# escape=`\n# escape=`\nFROM x", "only one escape parser directive can be used", [2, 2]),
            ("FROM x\nRUN [1]", "when using JSON array syntax, arrays must be comprised of strings only", [2, 2]),
            ("FROM x\nRUN a\x00b", "the Dockerfile holds a NUL byte: it is no text, or not UTF-8", [2, 2]),
            ("FROM x\nADD a <<E\nE", "dockerfile parse error on line 2: ADD cannot accept a heredoc as a destination", [2, 3]),
            ("FROM x\nONBUILD FROM y", "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger", [2, 2]),
        ):
            with self.subTest(text):
                self.refused(text, message, lines)

    def test_excerpts(self):
        for text, excerpt in (
            (
                "FROM busybox\n\nENV PATH\n",
                "Dockerfile:3\n--------------------\n   1 |     FROM busybox\n   2 |     \n"
                "   3 | >>> ENV PATH\n   4 |     \n--------------------\n",
            ),
            (
                "FROM a\nRUN b\nRUN c\nNOPE d \\\n e\nRUN f\nRUN g\n",
                "Dockerfile:4\n--------------------\n   3 |     RUN c\n   4 | >>> NOPE d \\\n   5 | >>>  e\n"
                "   6 |     RUN f\n--------------------\n",
            ),
        ):
            with self.subTest(text):
                self.assertEqual(excerpt, self.build(text)["excerpt"])

    def test_flags(self):
        for line, flags, words in (
            ('COPY --chown="a b" --link x y', '["--chown=a b" "--link"]', '"x" "y"'),
            ("COPY --from=a\\ b x y", '["--from=a b"]', '"x" "y"'),
            ("RUN -- --x", "", '"--x"'),
            ("RUN --network=none -- --x", '["--network=none"]', '"--x"'),
            ("RUN a --network=none", "", '"a --network=none"'),
            ("COPY --link", '["--link"]', ""),
        ):
            with self.subTest(line):
                wanted = " ".join(part for part in (line.split()[0].lower(), flags, words) if part)
                self.assertEqual(f"({wanted})", self.ask("tree", text=line)["dump"].strip())

    def test_json_form(self):
        for text, words in (
            ('["a", "b"]', ["a", "b"]),
            ('  [ "a"\t,"b" ] ', ["a", "b"]),
            ("[]", []),
            (r'["\/\b\u00e9\ud83d\ude00"]', ["/\b\u00e9\U0001f600"]),
            ("['a']", None),
            ('["a",]', None),
            ('["a"', None),
            ('["a"] b', None),
            ('{"a": "b"}', None),
            ('"a"', None),
            ("", None),
        ):
            with self.subTest(text):
                got = self.ask("json", text=text)
                self.assertEqual((words is not None, words or []), (got["is"], got["words"]))
        for text in ("[1]", '["a", null]', '[["a"]]', '[true]', '["a", {"b": 1}]'):
            with self.subTest(text):
                self.assertIn("strings only", self.ask("json", text=text)["error"])

    def test_heredocs(self):
        for text, names, contents in (
            ("RUN <<E\na $b\n\n# c\nE\n", ["E"], ["a $b\n\n# c\n"]),
            ("RUN <<-E\n\ta\n\t\tb\n\tE\n", ["E"], ["\ta\n\t\tb\n"]),
            ("COPY <<a <<b /x/\n1\na\n2\nb\n", ["a", "b"], ["1\n", "2\n"]),
            ("RUN <<E cat\n\\\nx\nE\n", ["E"], ["\\\nx\n"]),
            ("RUN <<E\na\r\nE\r\n", ["E"], ["a\r\n"]),
            ("RUN 5<<E\nE\n", ["E"], [""]),
            ("ONBUILD RUN <<E\na\nE\n", ["E"], ["a\n"]),
            ("RUN a << E\nx\nE\n", ["E"], ["x\n"]),
            ("RUN cat <<E \\\n && b\nx\nE\n", ["E"], ["x\n"]),
        ):
            with self.subTest(text):
                docs = self.ask("tree", text=text)["heredocs"][0]
                self.assertEqual((names, contents), ([d["Name"] for d in docs], [d["Content"] for d in docs]))
        for line in ('RUN ["a", "<<E"]', "RUN '<<E'", "RUN a <b", "RUN a <<<b", "USER <<E", "RUN \\<<E", "RUN 'a <<E"):
            with self.subTest(line):
                self.assertEqual([], self.ask("tree", text=line)["heredocs"][0])
        for word, expand in (("<<E", True), ("<<'E'", False), ('<<"E"', False), ("<<E'F'", False)):
            with self.subTest(word):
                docs = self.ask("tree", text=f"RUN {word}\n{word[2:].strip('-').replace(chr(39), '').replace(chr(34), '')}")
                self.assertEqual(expand, docs["heredocs"][0][0]["Expand"])

    def test_run_heredocs(self):
        sh = ["/bin/sh", "-c"]
        for text, args, script in (
            ("RUN <<E\na\nb $c\nE", sh + ["a\nb $c\n"], ""),
            ("RUN <<-E\n\ta\n\tE", sh + ["a\n"], ""),
            ("RUN <<E\n#!/bin/x\na\nE", sh + ["/dev/pipes/E"], "#!/bin/x\na\n"),
            ("RUN <<-E\n\t#!/bin/x\n\ta\nE", sh + ["#!/bin/x\na\n"], ""),
            ("RUN <<E bash\na\nE", sh + ["<<E bash\na\nE"], ""),
            ("RUN <<A cat >x && <<B\na\nA\nb\nB", sh + ["<<A cat >x && <<B\na\nA\nb\nB"], ""),
            ("RUN <<-A cat\n\ta\nA", sh + ["<<-A cat\n\ta\nA"], ""),
            ("RUN <<../../E\n#!/bin/x\n../../E", sh + ["/E"], "#!/bin/x\n"),
            ("RUN <<./E\n#!/bin/x\n./E", sh + ["/dev/pipes/E"], "#!/bin/x\n"),
            ("RUN <<a/E\nx\na/E", sh + ["x\n"], ""),
        ):
            with self.subTest(text):
                run = self.target("FROM x\n" + text)["steps"][0]["run"]
                self.assertEqual((args, script), (run["args"], run["script"]))

    def test_heredocs_that_are_no_files(self):
        for text in ("RUN <<a/E\n#!/bin/x\na/E", "RUN <<..\n#!/bin/x\n..", "COPY <<a/b /d\nb\na/b", "COPY <<. /d\n."):
            with self.subTest(text):
                self.assertIn("is no name of a file", self.build("FROM x\n" + text).get("error", ""))

    def test_copy_heredocs(self):
        for text, files in (
            ("COPY <<a <<b /d/\n$V\na\n'$V'\nb", [("a", "v\n"), ("b", "'v'\n")]),
            ("COPY <<'a' /d\n$V\na", [("a", "$V\n")]),
            ("COPY <<-a /d\n\t\tx\n\ta", [("a", "x\n")]),
            ("COPY <<a /d\n\\$V \\x\na", [("a", "$V x\n")]),
            ("ADD <<a /d\nx\na", [("a", "x\n")]),
            ("COPY <<../../a /d\nx\n../../a", [("a", "x\n")]),
        ):
            with self.subTest(text):
                sources = self.target("FROM x\nENV V=v\n" + text)["steps"][0]["copy"]["sources"]
                self.assertEqual(files, [(source["path"], source["content"]) for source in sources])


class Variables(LanguageCase):
    """build.md 1.2"""

    def test_where_they_are_expanded(self):
        got = self.target(
            "FROM x\nENV V=v\nLABEL $V=$V\nEXPOSE ${P:-80}\nSTOPSIGNAL ${S:-9}\nUSER $V\nVOLUME /$V\nWORKDIR /$V\n"
            "COPY --chown=$V --chmod=${M:-644} $V ${V}d\nADD $V $V\n"
            "RUN --mount=type=cache,target=/$V,id=$V echo $V\nCMD $V\nENTRYPOINT [\"$V\"]\nHEALTHCHECK CMD $V\n"
        )
        config, (_, copy, add, run) = got["image"]["config"], got["steps"]
        self.assertEqual({"v": "v"}, config["Labels"])
        self.assertEqual({"80/tcp": {}}, config["ExposedPorts"])
        self.assertEqual(("9", "v", "/v"), (config["StopSignal"], config["User"], config["WorkingDir"]))
        self.assertEqual({"/v": {}}, config["Volumes"])
        self.assertEqual(("v", "644", "/v/vd"), (copy["copy"]["chown"], copy["copy"]["chmod"], copy["copy"]["destination"]))
        self.assertEqual("/v/v", add["copy"]["destination"])
        self.assertEqual(("/v", "v"), (run["run"]["mounts"][0]["target"], run["run"]["mounts"][0]["id"]))
        self.assertEqual("echo $V", run["run"]["args"][2])
        self.assertEqual("$V", config["Cmd"][2])
        self.assertEqual(["$V"], config["Entrypoint"])
        self.assertEqual(["CMD-SHELL", "$V"], config["Healthcheck"]["Test"])

    def test_instruction_sees_the_values_from_before_it(self):
        env = self.config("FROM scratch\nENV a=1\nENV a=2 b=$a\nENV c=$b\n")["Env"]
        self.assertEqual(["a=2", "b=1", "c=1"], env[1:])

    def test_arguments(self):
        for text, args, env in (
            ("ARG v=1\nFROM x\nRUN a", {}, {}),
            ("ARG v=1\nFROM x\nARG v\nRUN a", {}, {"v": "1"}),
            ("ARG v=1\nFROM x\nARG v=2\nRUN a", {}, {"v": "2"}),
            ("ARG v=1\nFROM x\nARG v\nRUN a", {"v": "3"}, {"v": "3"}),
            ("FROM x\nARG v\nRUN a", {}, {}),
            ("FROM x\nARG v=1\nRUN a", {"v": ""}, {"v": ""}),
            ("FROM x\nARG v=1 w=$v-2 z\nRUN a", {}, {"v": "1", "w": "1-2"}),
            ("FROM x\nRUN a\nARG v=1", {}, {}),
            ("FROM x AS s\nARG v=1\nFROM s\nRUN a", {}, {"v": "1"}),
            ("FROM x AS s\nARG v=1\nFROM x\nRUN a", {}, {}),
            ("FROM x\nARG v=1\nENV v=2\nRUN a", {}, {"v": "2"}),
            ("FROM x\nENV v=2\nARG v=1\nRUN a", {}, {"v": "2"}),
            ("FROM x\nARG v=1\nENV v=${v}0\nRUN a", {"v": "3"}, {"v": "30"}),
            ("FROM x\nENV v=2\nARG v=1\nENV w=$v\nRUN a", {}, {"v": "2", "w": "2"}),
            ("FROM x\nARG V=1\nARG v=2\nENV w=$V$v\nRUN a", {}, {"V": "1", "v": "2", "w": "12"}),
            ("FROM x\nARG v=1\nARG v\nRUN a", {}, {"v": "1"}),
            ("FROM x\nRUN a", {"unused": "1"}, {}),
            ("FROM x\nARG TARGETARCH\nARG BUILDPLATFORM\nARG TARGETSTAGE\nRUN a", {},
             {"TARGETARCH": "amd64", "BUILDPLATFORM": "linux/amd64", "TARGETSTAGE": "default"}),
            ("FROM x AS it\nARG TARGETSTAGE\nRUN a", {}, {"TARGETSTAGE": "it"}),
            ("FROM x\nARG TARGETOS\nRUN a", {"TARGETOS": "mine"}, {"TARGETOS": "mine"}),
            ("FROM x\nRUN a", {"TARGETOS": "mine"}, {}),
            ("FROM x\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nRUN a", {}, {}),
        ):
            with self.subTest(text, args=args):
                steps = self.target(text, args=args)["steps"]
                got = dict(item.split("=", 1) for item in steps[-1]["run"]["env"])
                got.pop("PATH")
                self.assertEqual(env, got)

    def test_platforms_of_arguments(self):
        got = self.target("FROM x\nARG TARGETPLATFORM TARGETVARIANT TARGETARCH BUILDARCH\nRUN a", platform="linux/arm/v7")
        self.assertEqual(
            ["TARGETPLATFORM=linux/arm/v7", "TARGETVARIANT=v7", "TARGETARCH=arm", "BUILDARCH=amd64"],
            got["steps"][0]["run"]["env"][1:],
        )

    def test_proxies(self):
        for text, args, env, proxies in (
            ("RUN a", {"http_proxy": "p"}, [], ["HTTP_PROXY=p", "http_proxy=p"]),
            ("RUN a", {"HTTP_PROXY": "p", "http_proxy": "q"}, [], ["HTTP_PROXY=q", "http_proxy=q"]),
            ("RUN a", {"NO_PROXY": "n", "ALL_PROXY": "", "XHTTP_PROXY": "x"}, [], ["NO_PROXY=n", "no_proxy=n"]),
            ("ARG http_proxy\nRUN a", {"http_proxy": "p"}, ["http_proxy=p"], ["HTTP_PROXY=p", "http_proxy=p"]),
        ):
            with self.subTest(text, args=args):
                got = self.target("FROM x\n" + text, args=args)
                run = got["steps"][0]["run"]
                self.assertEqual((env, proxies), (run["env"][1:], run["proxies"]))
                self.assertEqual(bool(env), "proxy" in got["steps"][0]["created_by"])

    def test_bases(self):
        for text, args, base in (
            ("ARG v=1\nFROM img:$v", {}, "img:1"),
            ("ARG v=1\nFROM img:$v", {"v": "2"}, "img:2"),
            ("ARG a=x\nARG b=$a-y\nFROM $b", {}, "x-y"),
            ("ARG v\nFROM img:${v:-z}", {}, "img:z"),
            ("ARG v=1\nARG v\nFROM img:$v", {}, "img:1"),
        ):
            with self.subTest(text, args=args):
                self.assertEqual(base, self.target(text, args=args)["base"])
        self.refused("ARG v\nFROM $v", "base name ($v) should not be blank", [2, 2])
        self.refused("FROM x\nRUN a\nFROM --platform=$P y", "empty platform value from expression $P", [3, 3])
        self.refused(
            "FROM --platform=$BULIDPLATFORM y",
            "empty platform value from expression $BULIDPLATFORM (did you mean BUILDPLATFORM?)",
            [1, 1],
        )
        got = self.build("ARG MY_ARCH=amd64\nFROM --platform=linux/${MYARCH} x")
        self.assertRegex(got["error"], r"^failed to parse platform linux/\$\{MYARCH\}: .* \(did you mean MY_ARCH\?\)$")

    def test_argument_is_no_part_of_the_configuration(self):
        self.assertEqual(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], self.config("FROM x\nARG v=1\nCMD []")["Env"])

    def test_values_are_errors(self):
        for text, message in (
            ("USER ${v:?m $w}", "failed to process \"${v:?m $w}\": v: m "),
            ("USER ${v?}", "failed to process \"${v?}\": v: is not allowed to be unset"),
            ("USER 'a", "failed to process \"'a\": unexpected end of statement while looking for matching single-quote"),
            ("USER ${v", "failed to process \"${v\": syntax error: missing '}'"),
        ):
            with self.subTest(text):
                self.refused("FROM x\n" + text, message, [2, 2])

    def test_expansion(self):
        env = {"A": "one", "B": "two words", "E": "", "P": "/a/b/c.tar.gz", "1": "first", "KOR": "한국어"}
        for word, value in (
            ("$A-${A}", "one-one"), ("$U", ""), ("he$1x", "hefirstx"), ("$.", "$."), ("$$", ""), ("a$", "a$"),
            ("${U:-w}", "w"), ("${U-w}", "w"), ("${E:-w}", "w"), ("${E-w}", ""), ("${A:+w}", "w"), ("${E:+w}", ""),
            ("${E+w}", "w"), ("${U:-${A}'$A'\"$A\"}", "one$Aone"), ("${P##*/}", "c.tar.gz"), ("${P%%.*}", "/a/b/c"),
            ("${P%.*}", "/a/b/c.tar"), ("${P#/}", "a/b/c.tar.gz"), ("${P/a/x}", "/x/b/c.tar.gz"), ("${P//a/x}", "/x/b/c.txr.gz"),
            ("'$A'", "$A"), ("\"$A\"", "one"), ("\"\\$A\\x\\\"\"", "$A\\x\""), ("\\$A", "$A"), ("a\\ b", "a b"),
            ("안녕$KOR", "안녕한국어"), ("${KOR#?}", "국어"),
        ):
            with self.subTest(word):
                got = self.ask("expand", word=word, env=env)
                self.assertEqual(value, got.get("error", got["value"]))
        for word in ("${A:#x}", "${A^}", "${}", "${A", "${A/x}", "'a", '"a', "${A=b}", "${U:?}"):
            with self.subTest(word):
                self.assertIn("error", self.ask("expand", word=word, env=env))
        self.assertEqual("C:\\$A", self.ask("expand", word="C:\\`$A", env=env, escape="`")["value"])
        for word, words in (("$B", ["two", "words"]), ('"$B"', ["two words"]), ("a$B", ["atwo", "words"]), ("$E", []), ("a\\ b c", ["a b", "c"])):
            with self.subTest(word):
                self.assertEqual(words, self.ask("expand", word=word, env=env)["words"])


class Instructions(LanguageCase):
    """build.md 1.3 and 2.3"""

    def test_history(self):
        for line, created_by in (
            ("ARG v=1 w", "ARG v=1 w"),
            ("ENV A=b C='d e'", "ENV A=b C=d e"),
            ("LABEL l1=x l2=\"y z\"", "LABEL l1=x l2=y z"),
            ("MAINTAINER me <me@x>", "MAINTAINER me <me@x>"),
            ("EXPOSE 443 80/tcp 53/UDP", "EXPOSE [443/tcp 53/udp 80/tcp]"),
            ("VOLUME /v1 /v2", "VOLUME [/v1 /v2]"),
            ("WORKDIR /work", "WORKDIR /work"),
            ("WORKDIR sub", "WORKDIR /sub"),
            ("USER 1:2", "USER 1:2"),
            ("STOPSIGNAL SIGINT", "STOPSIGNAL SIGINT"),
            ("SHELL [\"/bin/sh\", \"-ec\"]", "SHELL [/bin/sh -ec]"),
            ("CMD echo $A", 'CMD ["/bin/sh" "-c" "echo $A"]'),
            ("CMD [\"a\", \"b c\"]", 'CMD ["a" "b c"]'),
            ("CMD []", "CMD []"),
            ("ENTRYPOINT [\"a\"]", 'ENTRYPOINT ["a"]'),
            (
                "HEALTHCHECK --interval=5s --retries=2 CMD echo ok",
                "HEALTHCHECK &{[\"CMD-SHELL\" \"echo ok\"] \"5s\" \"0s\" \"0s\" \"0s\" '\\x02'}",
            ),
            ("HEALTHCHECK NONE", "HEALTHCHECK &{[\"NONE\"] \"0s\" \"0s\" \"0s\" \"0s\" '\\x00'}"),
            ("HEALTHCHECK --timeout=1m30s CMD [\"a\"]", "HEALTHCHECK &{[\"CMD\" \"a\"] \"0s\" \"1m30s\" \"0s\" \"0s\" '\\x00'}"),
            ("RUN echo hi > /r", "RUN /bin/sh -c echo hi > /r # buildkit"),
            ("RUN [\"a\", \"b\"]", "RUN a b # buildkit"),
            (
                "COPY --chmod=644 --chown=1:2 --parents f.txt ./g.txt",
                "COPY --parents --chown=1:2 --chmod=644 f.txt ./g.txt # buildkit",
            ),
            ("COPY --link --exclude=x f g", "COPY f g # buildkit"),
            ("ADD f.txt h.txt /", "ADD f.txt h.txt / # buildkit"),
            ("COPY <<a f /d/\nx\na", "COPY f <<a /d/ # buildkit"),
        ):
            with self.subTest(line):
                self.assertEqual([created_by], self.history("FROM x\n" + line))
        self.assertEqual([], self.history("FROM x\nONBUILD RUN a"))
        self.assertEqual(
            ["ARG VER=1", "ARG FOO=bar", "RUN |2 VER=1 FOO=bar /bin/sh -c a # buildkit"],
            self.history("FROM x\nARG VER=1\nARG FOO\nRUN a", args={"FOO": "bar", "http_proxy": "p"}),
        )
        layers = [entry.get("empty_layer", False) for entry in self.target("FROM x\nRUN a\nENV a=b\nWORKDIR /w\nWORKDIR /\nCOPY a b")["image"]["history"][1:]]
        self.assertEqual([False, True, False, True, False], layers)

    def test_configurations(self):
        for text, key, value in (
            ("FROM x\nCMD a", "ArgsEscaped", True),
            ("FROM x\nENTRYPOINT a", "Cmd", None),
            ("FROM x\nCMD b\nENTRYPOINT a", "Cmd", ["/bin/sh", "-c", "b"]),
            ("FROM x\nENTRYPOINT a\nCMD b", "Cmd", ["/bin/sh", "-c", "b"]),
            ("FROM x\nCMD a\nCMD [\"b\"]", "Cmd", ["b"]),
            ("FROM x\nENTRYPOINT a\nENTRYPOINT []", "Entrypoint", None),
            ("FROM x\nSHELL [\"/s\"]\nCMD a", "Cmd", ["/s", "a"]),
            ("FROM x\nSHELL [\"/s\"]", "Shell", ["/s"]),
            ("FROM x\nENV a=1\nENV b=2\nENV a=3", "Env", BASE["config"]["Env"] + ["a=3", "b=2"]),
            ("FROM x\nLABEL a=1 a=2", "Labels", {"a": "2"}),
            ("FROM x\nLABEL a b c", "Labels", {"a": "b c"}),
            ("FROM x\nEXPOSE 1-3/udp", "ExposedPorts", {"1/udp": {}, "2/udp": {}, "3/udp": {}}),
            ("FROM x\nVOLUME [\"/a b\"]", "Volumes", {"/a b": {}}),
            ("FROM x\nWORKDIR /a\nWORKDIR b/../c/", "WorkingDir", "/a/c"),
            ("FROM scratch\nCMD []", "WorkingDir", "/"),
            ("FROM scratch\nCMD []", "Env", BASE["config"]["Env"]),
            ("FROM scratch\nENV PATH=/x", "Env", ["PATH=/x"]),
            ("FROM x\nUSER a:b", "User", "a:b"),
            ("FROM x\nSTOPSIGNAL term", "StopSignal", "term"),
            ("FROM x\nONBUILD RUN a \\\n b", "OnBuild", ["RUN a  b"]),
            ("FROM x\nONBUILD COPY <<E /\nx\nE", "OnBuild", ["COPY <<E /\nx\nE"]),
            ("FROM x\nHEALTHCHECK NONE", "Healthcheck", {"Test": ["NONE"]}),
        ):
            with self.subTest(text):
                self.assertEqual(value, self.config(text).get(key))
        self.assertEqual("me", self.target("FROM x\nMAINTAINER me")["image"]["author"])

    def test_stages_inherit(self):
        got = self.config("FROM x AS a\nENV a=1\nUSER u\nWORKDIR /w\nCMD c\nONBUILD ENV o=1\nFROM a\nWORKDIR d")
        self.assertEqual((["a=1", "o=1"], "u", "/w/d", None), (got["Env"][1:], got["User"], got["WorkingDir"], got.get("OnBuild")))
        self.assertEqual(["/bin/sh", "-c", "c"], got["Cmd"])

    def test_triggers_of_the_base(self):
        base = {**BASE, "config": {**BASE["config"], "OnBuild": ["ENV a=1", "COPY --from=s x /y", "RUN z"]}}
        got = self.target("FROM scratch AS s\nFROM x\nENV b=$a", base=base)
        self.assertEqual(["PATH=" + BASE["config"]["Env"][0][5:], "a=1", "b=1"], got["image"]["config"]["Env"])
        self.assertEqual([("copy", "/y"), ("run", None)], [(s["kind"], s.get("copy", {}).get("destination")) for s in got["steps"]])
        self.assertNotIn("OnBuild", got["image"]["config"])
        for trigger, message in (
            ("FROM y", "FROM isn't allowed as an ONBUILD trigger"),
            ("RUN a\nRUN b", "onbuild trigger should be a single expression"),
            ("FOOBAR", "unknown instruction: FOOBAR"),
        ):
            with self.subTest(trigger):
                base["config"]["OnBuild"] = [trigger]
                self.refused("\nFROM x", message, [2, 2], base=base)

    def test_stages(self):
        for text, target, reachable in (
            ("FROM x AS a\nFROM y AS b\nFROM z", "", [False, False, True]),
            ("FROM x AS a\nFROM a AS b\nFROM y\nCOPY --from=b f f", "", [True, True, True]),
            ("FROM x AS a\nFROM y AS b\nFROM z", "b", [False, True, False]),
            ("FROM x AS a\nFROM y AS b\nFROM z", "B", [False, True, False]),
            ("FROM x AS a\nFROM y AS b\nFROM z", "0", [True, False, False]),
            ("FROM x AS a\nFROM y\nRUN --mount=from=a,target=/a b", "", [True, True]),
            ("FROM x\nFROM y\nCOPY --from=0 f f", "", [True, True]),
            ("FROM x AS Foo\nFROM Foo", "", [True, True]),
            ("FROM x AS Foo\nFROM y\nCOPY --from=FOO a b", "", [True, True]),
            ("FROM x AS a\nFROM y AS a\nFROM a", "", [False, True, True]),
            ("FROM x\nCOPY --from=other:1 f f", "", [True, True]),
        ):
            with self.subTest(text, target=target):
                got = self.good(text, target=target)
                self.assertEqual(reachable, [stage["reachable"] for stage in got["stages"]])
                self.assertEqual(reachable, [bool(stage["image"]) or stage["base"] == "other:1" for stage in got["stages"]])
        for text, message, lines, request in (
            ("FROM x AS a\nFROM y", "target stage \"aa\" could not be found (did you mean a?)", None, {"target": "aa"}),
            ("FROM x AS a\nCOPY --from=a f f", "circular dependency detected on stage: a", [1, 1], {}),
            ("FROM x AS a\nCOPY --from=b f f\nFROM a AS b", "circular dependency detected on stage: a", None, {}),
            (
                "FROM x AS a\nCOPY --from=b f f\nFROM y AS b\nFROM a",
                "cannot copy from stage \"b\", it needs to be defined before current stage \"a\"",
                [2, 2],
                {},
            ),
            ("FROM x\nCOPY --from=1 f f", "invalid stage index 1", [2, 2], {}),
            (
                "FROM x\nARG s\nCOPY --from=$s f f",
                "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
                [3, 3],
                {},
            ),
            (
                "FROM Bad",
                "failed to parse stage name \"Bad\": invalid reference format: repository name (library/Bad) must be lowercase",
                [1, 1],
                {},
            ),
        ):
            with self.subTest(text):
                self.refused(text, message, lines, **request)

    def test_named_contexts(self):
        text = "FROM alpine AS a\nRUN x\nFROM docker.io/library/busybox:latest\nCOPY --from=a f f\nCOPY --from=c g g\n"
        got = self.good(text, contexts={"a": 1, "busybox": 1, "c": 1})
        self.assertEqual(["a", "docker.io/library/busybox:latest", "c"], [stage["base"] for stage in got["stages"]])
        self.assertEqual([], got["stages"][0]["steps"])

    def test_copy(self):
        for line, destination, paths in (
            ("COPY a b", "/w/b", ["/a"]),
            ("COPY a b/", "/w/b/", ["/a"]),
            ("COPY a .", "/w/", ["/a"]),
            ("COPY a /", "/", ["/a"]),
            ("COPY ../../a /x/../y/.", "/y/", ["/a"]),
            ("COPY /a/./b// c* /d/", "/d/", ["/a/b", "/c*"]),
            ("COPY [\"a b\", \"c d\"]", "/w/c d", ["/a b"]),
            ("COPY . .", "/w/", ["/"]),
        ):
            with self.subTest(line):
                copy = self.target("FROM x\nWORKDIR /w\n" + line)["steps"][1]["copy"]
                self.assertEqual((destination, paths), (copy["destination"], [s["path"] for s in copy["sources"]]))
        for line, message in (
            ("COPY --chmod=9 a b", "invalid chmod parameter: '9'. it should be octal string and between 0 and 07777"),
            ("COPY --chmod=10000 a b", "invalid chmod parameter: '10000'. it should be octal string and between 0 and 07777"),
            ("COPY http://x/y a", "source can't be a URL for COPY"),
            ("COPY https://x/y.git a", "source can't be a git ref for COPY"),
            ("ADD --checksum=sha256:0 a b", "checksum requires HTTP(S) or Git sources"),
            ("ADD --checksum=sha256:0 http://a/b http://a/c /d", "checksum can't be specified for multiple sources"),
            ("ADD https://x/y.git?nope=1 a", "unexpected query \"nope\""),
        ):
            with self.subTest(line):
                self.refused("FROM x\n" + line, message, [2, 2])
        copy = self.target("FROM x\nCOPY --parents a/./b/c d/* e/\n")["steps"][0]["copy"]
        self.assertEqual([("/a", "b/c"), ("/", "d/*")], [(s["path"], s["pattern"]) for s in copy["sources"]])
        add = self.target("FROM x\nADD http://h/p/f.tgz?q=1 https://h/r.git#main:sub git@h:o/r.git l /d/\n")["steps"][0]["copy"]
        self.assertEqual([("url", "f.tgz"), ("git", "/"), ("git", "/"), ("context", "/l")], [(s["kind"], s["path"]) for s in add["sources"]])

    def test_paths_of_the_context(self):
        for text, paths, named in (
            ("RUN a", [], []),
            ("COPY a b/c* d", ["a", "b/c*"], []),
            ("COPY . /", [""], []),
            ("COPY a .\nADD a /b ../c .\nCOPY . .", [""], []),
            ("COPY b .\nCOPY a .\nCOPY b .", ["a", "b"], []),
            ("COPY --parents a/./b/*.c d/**/e .", ["a/b/*.c", "d/**/e"], []),
            ("ADD http://a/b .\nCOPY <<f .\nx\nf", [], []),
            ("RUN --mount=target=/m,source=a/b x", ["a/b"], []),
            ("RUN --mount=target=/m x", [""], []),
            ("RUN --mount=type=cache,target=/m x", [], []),
            ("COPY --from=ctx a b c/", [], ["a", "b"]),
            ("RUN --mount=from=ctx,target=/m,source=d x", [], ["d"]),
            ("COPY --from=other a b", [], []),
        ):
            with self.subTest(text):
                got = self.good("FROM x AS unused\nCOPY nothing .\nFROM x\n" + text, contexts={"ctx": 1})
                self.assertEqual({"": paths, "ctx": named}, got["paths"])
        self.assertEqual([""], self.good("FROM ctx\nRUN a", contexts={"ctx": 1})["paths"]["ctx"])

    def test_mounts(self):
        for options, expected in (
            ("target=/a", {"type": "bind", "target": "/a", "ro": True, "stage": -1}),
            ("type=bind,target=a,rw", {"target": "/w/a", "ro": False}),
            ("type=bind,dst=/a,readwrite=false", {"ro": True}),
            ("type=bind,destination=/a,src=/b", {"source": "/b"}),
            ("type=cache,target=/a/../b/", {"target": "/b", "id": "/b", "ro": False}),
            ("type=cache,target=/a,id=i,readonly,mode=700,uid=1,gid=2", {"id": "i", "ro": True, "mode": 0o700}),
            ("type=tmpfs,target=/a,size=1.5k", {"type": "tmpfs", "ro": False}),
            ("type=secret,id=s", {"target": "/run/secrets/s", "id": "s", "mode": 0o400, "env": None}),
            ("type=secret,source=d/s", {"target": "/run/secrets/s", "id": "d/s"}),
            ("type=secret,target=/x/y", {"target": "/x/y", "id": "y"}),
            ("type=secret,id=s,env=E,required", {"target": "", "env": "E", "required": True}),
            ("type=ssh", {"target": "/run/buildkit/ssh_agent.0", "id": "default", "mode": 0o600}),
            ('"target=/a,b",type=cache', {"target": "/a,b"}),
            ("TYPE=Cache,Target=/a,sharing=Locked", {"type": "cache"}),
        ):
            with self.subTest(options):
                got = self.target(f"FROM x\nWORKDIR /w\nRUN --mount='{options}' a")["steps"][1]["run"]["mounts"][0]
                self.assertEqual(expected, {key: got[key] for key in expected})
        for options, message in (
            ("type=nope,target=/a", 'unsupported mount type "nope"'),
            ("type=cach,target=/a", 'unsupported mount type "cach" (did you mean cache?)'),
            ("target=/a,tagret=/b", "unexpected key 'tagret' in 'tagret=/b' (did you mean target?)"),
            ("target=/a,x", "invalid field 'x' must be a key=value pair"),
            ("target=/", 'invalid mount target "/"'),
            ("type=bind,target=/a,uid=1", 'uid not allowed for "bind" type mounts'),
            ("type=tmpfs,target=/a,mode=1", 'mode not allowed for "tmpfs" type mounts'),
            ("type=bind,target=/a,required", "unexpected key 'required' for mount type 'bind'"),
            ("type=cache,target=/a,size=1", "unexpected key 'size' for mount type 'cache'"),
            ("type=cache,target=/a,mode=9", "invalid value 9 for mode"),
            ("type=cache,target=/a,sharing=x", 'unsupported sharing value "x"'),
            ("type=bind,target=/a,sharing=shared", "invalid cache sharing set for bind mount"),
            ("type=secret", "invalid secret mount. one of source, target required"),
            ("type=secret,id=a,src=b", "both source and id can't be set"),
            ("type=tmpfs,target=/a,size=x", "invalid value for size: x"),
            ("target=/a,ro=maybe", "invalid value for ro: maybe"),
        ):
            with self.subTest(options):
                self.refused(f"FROM x\nRUN --mount={options} a", message, [2, 2])
        for line, message in (
            ("RUN --mount=from=$v,target=/a b", "'from' doesn't support variable expansion, define alias stage instead"),
            ("RUN --network=x a", 'invalid network mode "x"'),
            ("RUN --security=x a", 'security "x" is not valid'),
            (
                'RUN --mount=\\"a b',
                "failed to parse csv mounts: parse error on line 1, column 3: extraneous or missing \" in quoted-field",
            ),
        ):
            with self.subTest(line):
                self.refused("FROM x\n" + line, "dockerfile parse error on line 2: " + message, [2, 2])
        run = self.target("FROM x\nRUN --network=none --security=insecure a")["steps"][0]["run"]
        self.assertEqual(("none", "insecure"), (run["network"], run["security"]))

    def test_values_are_checked(self):
        for line, message in (
            ("EXPOSE x", "invalid containerPort: x"),
            ("EXPOSE 80/x", "invalid port: \"80/x\": invalid proto: x"),
            ("STOPSIGNAL nope", "invalid signal: nope"),
            ("VOLUME $u", "VOLUME specified can not be an empty string"),
        ):
            with self.subTest(line):
                self.refused("FROM x\n" + line, message, [2, 2])
        for line, message in (
            ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
            ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
            ("HEALTHCHECK x y", 'Unknown type "X" in HEALTHCHECK (try CMD)'),
            ("HEALTHCHECK NONE a", "HEALTHCHECK NONE takes no arguments"),
            ("HEALTHCHECK --interval=1us CMD a", 'Interval "interval" cannot be less than 1ms'),
            ("HEALTHCHECK --retries=-1 CMD a", "--retries cannot be negative (-1)"),
            ("ARG", "ARG requires at least one argument"),
            ("ARG =a", "ARG names can not be blank"),
            ("ENV =a", "ENV names can not be blank"),
            ("LABEL", "LABEL requires at least one argument"),
            ("USER", "USER requires exactly one argument"),
            ("WORKDIR", "WORKDIR requires exactly one argument"),
            ("MAINTAINER", "MAINTAINER requires exactly one argument"),
            ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
            ("EXPOSE", "EXPOSE requires at least one argument"),
            ("VOLUME []", "VOLUME requires at least one argument"),
            ("ONBUILD", "ONBUILD requires at least one argument"),
            ("ONBUILD ONBUILD RUN a", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
            ("ONBUILD MAINTAINER a", "MAINTAINER isn't allowed as an ONBUILD trigger"),
        ):
            with self.subTest(line):
                self.refused("FROM x\n" + line, "dockerfile parse error on line 2: " + message, [2, 2])

    def test_chmod(self):
        for chmod, mode, directory, result in (
            ("755", 0o600, False, 0o755), ("0", 0o777, False, 0), ("4755", 0, True, 0o4755),
            ("u+x", 0o644, False, 0o744), ("go-rw", 0o666, False, 0o600), ("a=rX", 0o640, False, 0o444),
            ("a=rX", 0o640, True, 0o555), ("a=rX", 0o740, False, 0o555), ("g=u", 0o640, False, 0o660),
            ("u=rwx,g=rx,o=", 0o7777, False, 0o1750), ("+t", 0o755, True, 0o1755), ("u+s,g+s", 0o755, False, 0o6755),
            ("o+w-r", 0o644, False, 0o642), ("+x", 0o644, False, 0o755), ("=r", 0o777, False, 0o444),
        ):
            with self.subTest(chmod, mode=oct(mode), directory=directory):
                self.assertEqual(oct(result), oct(self.ask("mode", chmod=chmod, mode=mode, directory=directory)["mode"]))
        for chmod in ("", "8", "u", "u+z", "u+x,", "x+r", "64a", "-1"):
            with self.subTest(chmod):
                self.assertIn("error", self.ask("mode", chmod=chmod, mode=0))


class Warnings(LanguageCase):
    """build.md 1.5"""

    def warnings(self, text, **request):
        request.setdefault("all", True)
        return [(w["rule"], w["line"], w["detail"]) for w in self.build(text, **request)["warnings"]]

    def test_rules(self):
        for text, expected in (
            ("FROM x AS Foo", [("StageNameCasing", 1, "Stage name 'Foo' should be lowercase")]),
            ("FROM x as foo", [("FromAsCasing", 1, "'as' and 'FROM' keywords' casing do not match")]),
            ("from x AS foo", [("FromAsCasing", 1, "'AS' and 'from' keywords' casing do not match")]),
            ("FROM x\nRUN a \\\n\n b", [("NoEmptyContinuation", 4, "Empty continuation line")]),
            (
                "FROM x\nRun a\nrun b\nRUN c",
                [
                    ("ConsistentInstructionCasing", 2, "Command 'Run' should match the case of the command majority (uppercase)"),
                    ("ConsistentInstructionCasing", 3, "Command 'run' should match the case of the command majority (uppercase)"),
                ],
            ),
            (
                "from x\nrun a\nRUN b",
                [("ConsistentInstructionCasing", 3, "Command 'RUN' should match the case of the command majority (lowercase)")],
            ),
            ("FROM x AS a\nFROM x AS a", [("DuplicateStageName", 2, 'Duplicate stage name "a", stage names should be unique')]),
            (
                "FROM x AS scratch",
                [("ReservedStageName", 1, 'Stage name should not use the same name as reserved stage "scratch"')],
            ),
            (
                "FROM x AS context",
                [("ReservedStageName", 1, 'Stage name should not use the same name as reserved stage "context"')],
            ),
            (
                "FROM x\nCMD a",
                [
                    ("JSONArgsRecommended", 2, "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals"),
                ],
            ),
            (
                "FROM x\nENTRYPOINT a",
                [
                    ("JSONArgsRecommended", 2, "JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals"),
                ],
            ),
            ('FROM x\nSHELL ["/s"]\nCMD a', []),
            ('FROM x\nCMD ["a"]', []),
            (
                "FROM x\nMAINTAINER me",
                [("MaintainerDeprecated", 2, "Maintainer instruction is deprecated in favor of using label")],
            ),
            (
                "ARG TAG\nFROM x:${TGA}",
                [
                    ("InvalidDefaultArgInFrom", 2, "Default value for ARG x:${TGA} results in empty or invalid base image name"),
                    ("UndefinedArgInFrom", 2, "FROM argument 'TGA' is not declared (did you mean TAG?)"),
                ],
            ),
            ("FROM x$NOPE", [("UndefinedArgInFrom", 1, "FROM argument 'NOPE' is not declared")]),
            (
                "FROM x\nWORKDIR a",
                [("WorkdirRelativePath", 2, 'Relative workdir "a" can have unexpected results if the base image changes')],
            ),
            ("FROM x\nWORKDIR /a\nWORKDIR b", []),
            ("FROM x AS a\nWORKDIR /a\nFROM a\nWORKDIR b", []),
            ("FROM x\nENV VAR=1\nLABEL a=$VRA", [("UndefinedVar", 3, "Usage of undefined variable '$VRA' (did you mean $VAR?)")]),
            ("FROM x\nLABEL a=$nowhere", [("UndefinedVar", 2, "Usage of undefined variable '$nowhere'")]),
            ("FROM x\nARG a\nLABEL a=$a", []),
            ("FROM x\nLABEL a=${no:-b}", [("UndefinedVar", 2, "Usage of undefined variable '$no'")]),
            ("FROM x\nRUN echo $nowhere", []),
            (
                'FROM x\nCMD ["a"]\nCMD ["b"]',
                [
                    ("MultipleInstructionsDisallowed", 2, "Multiple CMD instructions should not be used in the same stage because only the last one will be used"),
                ],
            ),
            (
                'FROM x\nENTRYPOINT ["a"]\nRUN a\nENTRYPOINT ["b"]',
                [
                    ("MultipleInstructionsDisallowed", 2, "Multiple ENTRYPOINT instructions should not be used in the same stage because only the last one will be used"),
                ],
            ),
            (
                "FROM x\nHEALTHCHECK NONE\nHEALTHCHECK NONE",
                [
                    ("MultipleInstructionsDisallowed", 2, "Multiple HEALTHCHECK instructions should not be used in the same stage because only the last one will be used"),
                ],
            ),
            ('FROM x AS a\nCMD ["a"]\nFROM a\nCMD ["b"]', []),
            (
                "FROM x\nENV a b",
                [("LegacyKeyValueFormat", 2, '"ENV key=value" should be used instead of legacy "ENV key value" format')],
            ),
            (
                "FROM x\nLABEL a b",
                [("LegacyKeyValueFormat", 2, '"LABEL key=value" should be used instead of legacy "LABEL key value" format')],
            ),
            (
                "FROM --platform=$TARGETPLATFORM x",
                [
                    ("RedundantTargetPlatform", 1, "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior"),
                ],
            ),
            ("FROM --platform=$BUILDPLATFORM x", []),
            (
                "FROM --platform=linux/amd64 x",
                [("FromPlatformFlagConstDisallowed", 1, 'FROM --platform flag should not use constant value "linux/amd64"')],
            ),
            ("FROM --platform=linux/amd64 x AS build_amd64", []),
            (
                "FROM x\nARG API_KEY\nENV GITHUB_TOKEN=a PUBLIC_KEY=b password=c",
                [
                    ("SecretsUsedInArgOrEnv", 2, 'Do not use ARG or ENV instructions for sensitive data (ARG "API_KEY")'),
                    ("SecretsUsedInArgOrEnv", 3, 'Do not use ARG or ENV instructions for sensitive data (ENV "GITHUB_TOKEN")'),
                    ("SecretsUsedInArgOrEnv", 3, 'Do not use ARG or ENV instructions for sensitive data (ENV "password")'),
                ],
            ),
            ("FROM x\nARG tokens\nARG monkey", []),
            (
                "ARG V\nFROM x:$V",
                [("InvalidDefaultArgInFrom", 2, "Default value for ARG x:$V results in empty or invalid base image name")],
            ),
            ("ARG V=1\nFROM x:$V", []),
            (
                "FROM x\nEXPOSE 80/TCP",
                [("ExposeProtoCasing", 2, "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase")],
            ),
            (
                "FROM x\nEXPOSE 127.0.0.1:1:2",
                [
                    ("ExposeInvalidFormat", 2, "EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:1:2'"),
                ],
            ),
            ("# bad\nFROM x AS a", []),
            (
                "# check=experimental=all\n# bad\nFROM x AS a",
                [("InvalidDefinitionDescription", 3, "Comment for FROM should follow the format: `# a <description>`")],
            ),
            (
                "# check=experimental=InvalidDefinitionDescription\n# a text\nFROM x AS a\n# text\nARG b c",
                [("InvalidDefinitionDescription", 5, "Comment for ARG should follow the format: `# <arg_key> <description>`")],
            ),
            ("# check=experimental=all\n# bad\n#\nFROM x AS a", []),
        ):
            with self.subTest(text):
                self.assertEqual(expected, self.warnings(text, args={"V": "1"} if "ARG V\n" in text else {}))

    def test_platform_of_the_base(self):
        for platform, expected in (("", []), ("linux/arm64", [("InvalidBaseImagePlatform", 1, 'Base image x was pulled with platform "linux/amd64", expected "linux/arm64" for current build')])):
            with self.subTest(platform):
                self.assertEqual(expected, self.warnings("FROM x\nCMD []", platform=platform))
        self.assertEqual(["InvalidBaseImagePlatform"], [w[0] for w in self.warnings("FROM --platform=linux/s390x x AS s390x")])

    def test_ignored_files(self):
        for line, ignore, expected in (
            ("COPY a b", "a\n", ["Attempting to Copy file \"a\" that is excluded by .dockerignore"]),
            ("ADD ./a b", "a\n", ["Attempting to Add file \"a\" that is excluded by .dockerignore"]),
            ("COPY d/e b", "d\n", ["Attempting to Copy file \"d/e\" that is excluded by .dockerignore"]),
            ("COPY a b", "a\n!a/b\n", []),
            ("COPY . b", "a\n", []),
            ("COPY . b", "*\n", []),
            ("COPY c b", "a\n", []),
            ("COPY --from=y a b", "a\n", []),
        ):
            with self.subTest(line, ignore=ignore):
                got = self.warnings("FROM x\n" + line, ignore=ignore)
                self.assertEqual([("CopyIgnoredFile", 2, detail) for detail in expected], got)

    def test_check_directive(self):
        many = "FROM x AS Foo\nMAINTAINER me\nCMD a\n"
        for directive, rules in (
            ("", ["StageNameCasing", "MaintainerDeprecated", "JSONArgsRecommended"]),
            ("# check=skip=all\n", []),
            ("# check=skip=StageNameCasing\n", ["MaintainerDeprecated", "JSONArgsRecommended"]),
            ("# check=skip=StageNameCasing,JSONArgsRecommended\n", ["MaintainerDeprecated"]),
            ("# check=skip=NoSuchRule\n", ["StageNameCasing", "MaintainerDeprecated", "JSONArgsRecommended"]),
            ("# syntax=docker/dockerfile:1\n# check=skip=all;error=false\n", []),
        ):
            with self.subTest(directive):
                self.assertEqual(rules, [w[0] for w in self.warnings(directive + many)])
        self.refused("# check=error=true\n" + many, "lint violation found for rules: JSONArgsRecommended, MaintainerDeprecated, StageNameCasing")
        self.good('# check=error=true\nFROM x\nCMD ["a"]')
        self.refused("# check=nope=1\nFROM x", 'failed to parse check options: invalid check option "nope"', [1, 1])
        self.refused("# check=x\nFROM x", 'failed to parse check options: invalid check option "x"', [1, 1])
        self.refused("# check=error=x\nFROM x", 'failed to parse check options: failed to parse check option "error=x": invalid syntax', [1, 1])

    def test_check_above_an_instruction(self):
        text = "FROM x\n# check=skip=JSONArgsRecommended\nCMD a\n# check=skip=all\nENV a b\nENV c d\n"
        self.assertEqual([("LegacyKeyValueFormat", 6)], [w[:2] for w in self.warnings(text)])

    def test_reports(self):
        text = "FROM x AS Foo\nENV a \\\n b\nCMD c\nUSER ${\n"
        got = self.build(text, report=True)
        self.assertEqual(
            "\nWARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/\n"
            "Stage name 'Foo' should be lowercase\nDockerfile:1\n--------------------\n   1 | >>> FROM x AS Foo\n"
            "   2 |     ENV a \\\n   3 |      b\n--------------------\n"
            "\nWARNING: LegacyKeyValueFormat - https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/\n"
            '"ENV key=value" should be used instead of legacy "ENV key value" format\nDockerfile:2\n--------------------\n'
            "   1 |     FROM x AS Foo\n   2 | >>> ENV a \\\n   3 | >>>  b\n   4 |     CMD c\n--------------------\n"
            "\nWARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/\n"
            "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals\nDockerfile:4\n"
            "--------------------\n   2 |     ENV a \\\n   3 |      b\n   4 | >>> CMD c\n   5 |     USER ${\n   6 |     \n"
            "--------------------\n"
            "failed to process \"${\": syntax error: missing '}'\nDockerfile:5\n--------------------\n   3 |      b\n"
            "   4 |     CMD c\n   5 | >>> USER ${\n   6 |     \n--------------------\n",
            got["text"],
        )
        report = got["json"]
        self.assertEqual(["StageNameCasing", "LegacyKeyValueFormat", "JSONArgsRecommended"], [w["ruleName"] for w in report["warnings"]])
        lines = [{"start": {"line": line}, "end": {"line": line}} for line in (2, 3)]
        self.assertEqual({"ranges": lines}, report["warnings"][1]["location"])
        self.assertEqual({"ruleName", "description", "url", "detail", "location"}, set(report["warnings"][0]))
        self.assertEqual("failed to process \"${\": syntax error: missing '}'", report["buildError"]["message"])
        self.assertEqual(text, base64.b64decode(report["sources"][0]["data"]).decode())
        clean = self.build("FROM x\n", report=True)
        self.assertEqual(("", [], False), (clean["text"], clean["json"]["warnings"], "buildError" in clean["json"]))

    def test_unreachable_stages_are_checked_only_when_all_are(self):
        text = "FROM x AS a\nENV a b\nFROM y\nCMD []"
        self.assertEqual([], self.warnings(text, all=False))
        self.assertEqual(["LegacyKeyValueFormat"], [w[0] for w in self.warnings(text)])


class Ignored(LanguageCase):
    """build.md 1.4: .dockerignore"""

    def test_patterns(self):
        for patterns, excluded, kept in (
            (["*"], ["a", "a/b"], []),
            (["*.o"], ["a.o", "a.o/b"], ["d/a.o", "a.c"]),
            (["**/*.o"], ["a.o", "d/a.o", "d/e/a.o"], ["a.c"]),
            (["a/**"], ["a/b", "a/b/c"], ["a", "ab"]),
            (["**/a"], ["a", "b/a", "b/c/a", "b/a/c"], ["ba", "b/ca"]),
            (["a/**/b"], ["a/b", "a/c/b", "a/c/d/b"], ["ab", "a/cb"]),
            (["**"], ["a", "a/b"], []),
            (["a?c"], ["abc", "a☺c"], ["ac", "a/c"]),
            (["[a-c]x"], ["ax", "cx"], ["dx"]),
            (["[^a-c]x"], ["dx"], ["ax"]),
            (["a\\*b"], ["a*b"], ["acb"]),
            (["[\\]a]"], ["]", "a"], ["b"]),
            (["a", "!a/b"], ["a", "a/c"], ["a/b", "a/b/d"]),
            (["*", "!a"], ["b"], ["a", "a/b"]),
            (["*", "!a", "a/b"], ["b", "a/b", "a/b/c"], ["a", "a/c"]),
            (["!a", "*"], ["a", "b"], []),
            (["a/b"], ["a/b", "a/b/c"], ["a", "b", "a/bc"]),
            (["a."], ["a."], ["ab"]),
            (["(a|b)+$"], ["(a|b)+$"], ["a"]),
        ):
            for path in excluded + kept:
                with self.subTest(patterns, path=path):
                    got = self.ask("ignore", patterns=patterns, path=path)
                    self.assertEqual((path in excluded, True), (got.get("excluded"), got.get("walked")), got)

    def test_files(self):
        for text, path, excluded, line in (
            ("\ufeffa\n", "a", True, 1),
            ("# a\na", "a", True, 2),
            (" # a", "# a", True, 1),
            ("  a  \r\n", "a", True, 1),
            ("/a", "a", True, 1),
            ("./a/../b/", "b", True, 1),
            ("a\n! /a/b \n", "a/b", False, 2),
            (".\n", "a", False, 0),
            ("\n\n", "a", False, 0),
            ("a\nb\na/c", "a/c", True, 3),
        ):
            with self.subTest(text, path=path):
                got = self.ask("ignore", text=text, path=path)
                self.assertEqual((excluded, line), (got["excluded"], got["line"]))
        for text in ("a[", "!", "a\n[]\n", "[-]", "[x-]", "[a-b-c]", "a\\", "[c-a]"):
            with self.subTest(text):
                self.assertIn("error", self.ask("ignore", text=text, path="a"))

    def test_directories_that_must_be_walked(self):
        for text, directory, below in (
            ("*\n!a/b/c\n", "a", True),
            ("*\n!a/b/c\n", "a/b", True),
            ("*\n!a/b/c\n", "d", False),
            ("*\n!a/b\n", "a/c", False),
            ("*\n!**/x\n", "d/e", True),
            ("*\n!a*/x\n", "ab", True),
            ("*\n!a*/x\n", "b", False),
            ("*\n", "a", False),
        ):
            with self.subTest(text, directory=directory):
                self.assertEqual(below, self.ask("ignore", text=text, path=directory)["below"])


if __name__ == "__main__":
    unittest.main()
