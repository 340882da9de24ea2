"""The language of Dockerfiles: how files, words and patterns are read, against tables of
our own and, where they are there, against what the tests of other builders expect."""

import json
import os
import unittest

import dockerfile

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/cases/build")


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

    def test_env_var_test(self):
        env = {"PWD": "/home", "SHELL": "bash", "KOREAN": "한국어", "NULL": ""}
        for line in self.table("envVarTest").splitlines():
            line = line.split("#")[0].strip() if line.strip().startswith("#") else line
            if not line.strip():
                continue
            platform, word, expected = (part.strip() for part in line.split("|"))
            if platform not in "AU":
                continue
            with self.subTest(word):
                got = self.ask("expand", word=word, env=env)
                if expected == "error":
                    self.assertIn("error", got)
                else:
                    self.assertEqual(expected, got.get("error", got["value"]))

    def test_words_test(self):
        env = {}
        for line in self.table("wordsTest").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("ENV "):
                name, value = line[4:].strip().split("=", 1)
                env[name] = value
                continue
            word, expected = line.split("|")
            with self.subTest(word):
                got = self.ask("expand", word=word.strip(), env=env)
                if expected.strip() == "error":
                    self.assertIn("error", got)
                else:
                    wanted = [w.strip() for w in expected.strip().split(",")] if expected.strip() else []
                    self.assertEqual(wanted, got["words"])

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
        expected = self.table("heredoc.json")["TestParseExtractsHeredoc"][0]
        got = self.ask("tree", text=self.table("heredoc.Dockerfile"))
        self.assertNotIn("error", got)
        self.assertEqual(len(expected), len(got["heredocs"]))
        plain = {"Name": "", "Content": "", "Expand": False, "Chomp": False, "FileDescriptor": 0}
        for at, (wanted, found) in enumerate(zip(expected, got["heredocs"])):
            with self.subTest(at):
                self.assertEqual([{**plain, **doc} for doc in wanted or []], found)

    def test_json_arrays(self):
        table = self.table("json-arrays.json")
        self.assertTrue(table)
        self.check_json(table)

    def check_json(self, table, key=""):
        """Lists of texts below names that say whether they are arrays of strings."""
        if isinstance(table, dict):
            for name, value in table.items():
                if isinstance(value, list) and name.lower() not in ("invalid", "refused"):
                    self.check_json(value, name)
                    if not name.lower().startswith("test"):
                        continue
                elif isinstance(value, list):
                    for text in value:
                        with self.subTest(text):
                            self.assertFalse(self.ask("json", text=text)["is"])
                else:
                    with self.subTest(name):
                        got = self.ask("json", text=name)
                        self.assertTrue(got["is"])
        elif isinstance(table, list):
            for item in table:
                if isinstance(item, dict):
                    for text, words in item.items():
                        with self.subTest(text):
                            self.assertEqual(words, self.ask("json", text=text)["words"])
                elif isinstance(item, list):
                    for text in item:
                        with self.subTest(text):
                            self.assertFalse(self.ask("json", text=text)["is"])

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


if __name__ == "__main__":
    unittest.main()
