"""Recordings of docker, replayed by imagectl: searching, manifests of registries, builds.
They are no part of this project: without them the tests are skipped."""

import json
import os
import shutil
import subprocess
import unittest

from harness import BIN, ROOT, SLOW, TestCase

GOLDEN = os.path.join(os.environ.get("IMAGED_SHARED", os.path.join(ROOT, "..", "shared")), "golden")

# Where imagectl says something else, and why.
DIFFERENT = {
    "buildkit/pull": "names of resolvers and queries of URLs are in no message",
    "buildkit/err-badfrom": "names of resolvers and queries of URLs are in no message",
    "buildkit/url-tar": "what is copied of the archive is cached only where the recordings are writable, as in it",
    "buildkit/git": "the recording's git could not do submodules",
    "buildkit/images-a": "the build from git went well",
    "buildkit/output-local": "the bytes of files are counted, not those of messages about them",
    "buildkit/rawjson": "events come when they come",
    "buildkit/metadata": "no provenance is made",
    "buildkit/multi-platform": "dockerd's classic store cannot",
    "buildkit/output-docker": "dockerd's classic store cannot",
    "buildkit/inspect": "inspect has the older form, and names its own layers",
}


class Recordings(TestCase):
    def replay(self, *only):
        """The replayer's result for the records of these files whose ids begin so."""
        if not os.access(os.path.join(GOLDEN, "replay"), os.X_OK):
            self.skipTest("the recordings are not here")
        if not shutil.which("docker-registry") or os.geteuid() != 0:
            self.skipTest("docker-registry and root are needed")
        records = sorted({name for name, _ in only})
        command = [os.path.join(GOLDEN, "replay"), "--cli", os.path.join(BIN, "imagectl")]
        command += ["--setup", os.path.join(GOLDEN, "hook-imaged"), "--json", self.path("result.json")]
        command += ["--records", ",".join(os.path.join(GOLDEN, "records", name) for name in records)]
        for _, prefix in only:
            command += ["--only", prefix]
        done = subprocess.run(
            command,
            env={**os.environ, "IMAGED_BIN": os.path.join(BIN, "imaged"), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=150 * SLOW,
        )
        self.assertTrue(os.path.exists(self.path("result.json")), done.stderr[-2000:])
        with open(self.path("result.json"), encoding="utf-8") as file:
            return json.load(file)

    def agree(self, *only):
        result = self.replay(*only)
        judged = [r for r in result["results"] if r["status"] in ("pass", "fail")]
        self.assertGreater(len(judged), 20)
        self.assertEqual([], [r["id"] for r in judged if r["status"] == "fail" and r["id"] not in DIFFERENT])

    def test_search_and_manifest_agree_with_docker(self):
        self.agree(("01-search.txt", "search/"), ("01-search-locale.txt", "locale/"), ("15-manifest.txt", "manifest/"))

    def test_builds_agree_with_docker(self):
        self.agree(("10-build-buildkit.txt", "buildkit/"))


if __name__ == "__main__":
    unittest.main()
