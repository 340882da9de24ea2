"""Builds that others wrote, with the results that a BuildKit gave for them: ../shared/cases/build.
Its own tool builds each case with imaged and compares; at least 95 of 100 have to agree, and
every one that does not is explained here."""

import glob
import io
import json
import os
import subprocess
import sys
import tarfile
import unittest

import ociimage
from archives import docker_files
from buildworld import cgroup_of
from harness import ROOT, SLOW, TestCase, program

CASES = os.path.join(os.path.dirname(ROOT), "shared", "cases", "build")
NEEDS = "environment,network-or-packages,add-url,run-device,windows,run-security"
AT_ONCE = 4
BASE = "localhost/bbase:latest"
AGREED = ("agree", "agree-fail", "agree-modulo-runtime")
AIM = 0.95

# Cases that give something else, and why that is right.
WALK = "recorded with a client of 20.10, which looks into an excluded directory only for exceptions that begin with its name"
USER_XATTRS = "attributes of user.* are kept"
EXPLAINED = {
    "buildah-bud/dockerignore6_Dockerfile.succeed": WALK,
    "buildah-bud/dockerignore_Dockerfile": WALK,
    "buildah-bud/dockerignore_Dockerfile.succeed": WALK,
    "buildah-conformance/dockerignore-allowlist-subsubdir-nosubdir": "recorded with a client of 20.10, which sends an excluded directory that an exception might be in",
    "buildah-conformance/dockerignore-exclude-deep-subdir-dot~2": WALK,
    "buildah-conformance/dockerignore-exclude-deep-subdir-star~2": WALK,
    "buildah-conformance/dockerignore-exclude-kind-of-deep-subdir-dot": WALK,
    "buildah-conformance/xattrs-file-in-archive": USER_XATTRS,
    "buildah-conformance/xattrs-file-in-other-stage": USER_XATTRS,
    "buildkit-integration/testCommandSourceMapping": "dockerd's store cannot merge: it recorded COPY --link as a plain COPY",
    "buildkit-integration/testCopyUnicodePath": "the recording's client lost the name; the case itself wants it copied",
    "kaniko/Dockerfile_test_issue_519": "names of stages are the same in any case, also in FROM",
}


@unittest.skipUnless(os.geteuid() == 0, "needs root")
@unittest.skipUnless(os.path.isdir(CASES), "needs ../shared")
class Recorded(TestCase):
    SECONDS = 600

    def base(self):
        """The image that all cases are built on."""
        layer = self.path("base.layer")
        subprocess.run(["sh", os.path.join(CASES, "mk-base.sh"), layer], check=True)
        with open(layer, "rb") as file:
            data = file.read()
        config = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]}
        image = ociimage.Image([ociimage.Layer(data, "plain")], docker=True, config={"config": config})
        path = self.path("base.tar")
        with tarfile.open(path, "w") as archive:
            for name, content in docker_files((image, BASE)).items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return path

    def start(self, daemon, base, number, cases):
        """The tool over some of the cases; its report is where it is told to be."""
        command = f"{program('imagectl')} build --progress plain --network {{network}} {{nocache}} -t {{tag}} -f {{dockerfile}} {{flags}} --output type=docker,dest={{out}} {{ctx}}"
        return subprocess.Popen(
            [sys.executable, os.path.join(CASES, "compare_build.py"), "--candidate", command, "--base", BASE, "--base-tar", base, "--no-reference",
             "--golden", os.path.join(CASES, "golden"), "--skip-needs", NEEDS, "--work", self.path(f"work{number}"), "--report", self.path(f"report{number}"), "--keep", *cases],
            env={**os.environ, "IMAGED_HOST": daemon.address}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip

    def results(self, daemon):
        base = self.base()
        daemon.ctl("load", "-q", "-i", base)
        cases = sorted(glob.glob(os.path.join(CASES, "cases", "*", "*.json")))
        running = [self.start(daemon, base, number, cases[number::AT_ONCE]) for number in range(AT_ONCE)]
        found = []
        for number, process in enumerate(running):
            _, error = process.communicate(timeout=550 * SLOW)
            self.assertTrue(os.path.exists(self.path(f"report{number}")), error.decode(errors="replace")[-2000:])
            with open(self.path(f"report{number}"), encoding="utf-8") as file:
                report = json.load(file)
            for place, result in enumerate(report):
                result["log"] = self.path(f"work{number}", f"{place:04d}", "cand.log")
            found += report
        return found

    def show(self, result):
        print(f"     {result['verdict']} {result['id']}: {EXPLAINED.get(result['id'], 'NOT EXPLAINED')}")
        print("       " + (result.get("why") or "; ".join(str(difference)[:300] for difference in result.get("diff", [])[:6])))
        if result.get("cand_rc") and os.path.exists(result["log"]) and result["id"] not in EXPLAINED:
            with open(result["log"], encoding="utf-8", errors="replace") as file:
                print("       " + file.read()[-600:].replace("\n", "\n       "))

    def test_recorded_builds(self):
        tried = [result for result in self.results(self.daemon("--build-cgroup-parent", cgroup_of(self.dir))) if result["verdict"] != "skipped"]
        others = [result for result in tried if result["verdict"] not in AGREED]
        for result in others:
            self.show(result)
        print(f"     {len(tried) - len(others)} of {len(tried)} agree")
        self.assertGreaterEqual(len(tried) - len(others), AIM * len(tried))
        self.assertEqual([], [result["id"] for result in others if result["id"] not in EXPLAINED])
        self.assertEqual([], sorted(set(EXPLAINED) - {result["id"] for result in others}), "these agree")
