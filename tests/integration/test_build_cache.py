"""What builds keep for those to come, and builds on record: the calls, the commands, the
limits of the daemon, and what keeps what."""

import json
import os
import re
import subprocess
import threading
import unittest

import fixtures
import grpc
from buildcall import BuildCall
from buildclient import Directory
from harness import TestCase, program
from rpc import pb

COPIES = "FROM scratch\nCOPY a /a\nCOPY b /b\n"
FILES = {"a": b"a" * 50000, "b": b"b" * 30000}


class CacheCase(TestCase):
    def setUp(self):
        super().setUp()
        self.start()

    def start(self, *args):
        self.imaged = self.daemon(*args)
        self.client = self.imaged.client()

    def build(self, dockerfile=COPIES, files=None, **fields):
        call = BuildCall(self.client, dockerfile, Directory("cache", FILES if files is None else files), **fields)
        call.run()
        self.settle("COPY" in dockerfile)
        return call

    def settle(self, has_context):
        """Until the build holds nothing any more, and its context is durable: both come behind its end."""
        self.wait_until(lambda: not any(e.in_use for e in self.entries()), "a build holds its results")
        self.wait_until(lambda: not has_context or self.entries("source.local"), "the context is there")

    def entries(self, kind=None):
        return [e for e in self.client.ListBuildCache().entries if kind in (None, e.kind)]

    def ctl(self, *args, **more):
        return self.imaged.ctl(*args, **more).stdout

    def cached(self, call):
        return {name: call.state(name) == "CACHED" for name in call.names() if " COPY " in name or " RUN " in name}


class Kept(CacheCase):
    def test_what_is_listed(self):
        self.build(tags=["app:1"])
        call = self.build()
        self.assertEqual({True}, set(self.cached(call).values()))
        steps = self.entries("regular")
        self.assertEqual(["[1/2] COPY a /a", "[2/2] COPY b /b"], sorted(re.sub("stage-0 ", "", e.description) for e in steps))
        for e in steps:
            self.assertRegex(e.id, "^[0-9a-f]{64}$")
            self.assertEqual((True, False, 2), (e.shared, e.in_use, e.use_count))
            self.assertGreater(e.size, 30000)
            self.assertLessEqual(e.created.ToNanoseconds(), e.last_used.ToNanoseconds())
        (context,) = self.entries("source.local")
        self.assertGreater(context.size, 80000)

    def test_info_tells_how_much_is_kept(self):
        self.build()
        self.wait_until(lambda: not self.client.GetInfo().running_builds, "the build has ended")
        info = self.client.GetInfo()
        self.assertEqual(2, info.build_cache_count)
        self.assertGreaterEqual(info.build_cache_max_bytes, 2 << 30)
        self.assertIn(" Running Builds: 0\n Build Cache: 2 results of steps, at most ", self.imaged.ctl("info").stdout)

    def test_pages_are_the_whole_list_in_its_order(self):
        self.build()
        self.build("FROM scratch\nCOPY a /other\nCOPY b /others\n")
        self.build("FROM scratch\nWORKDIR /z\nCOPY b /others\n")  # the same layer upon another one
        whole = [(e.id, e.size) for e in self.entries()]
        self.assertEqual(7, len(whole))
        self.assertEqual(1, sum(not size for _, size in whole), "one layer is listed twice, and counted once")
        paged, token = [], ""
        while True:
            page = self.client.ListBuildCache(page_size=2, page_token=token)
            self.assertLessEqual(len(page.entries), 2)
            paged += [(e.id, e.size) for e in page.entries]
            token = page.next_page_token
            if not token:
                break
            token_of_a_page = token[1:]
        self.assertEqual(whole, paged)
        for wrong in ({"page_size": -1}, {"page_token": "nonsense"}, {"page_token": "asha256:1"}, {"page_token": "d" + token_of_a_page}):
            self.assert_rpc_fails("INVALID_ARGUMENT", None, lambda w=wrong: self.client.ListBuildCache(**w))

    def test_results_outlive_their_image_and_the_daemon(self):
        self.build(tags=["app:1"])
        self.client.RemoveImage(image="app:1")
        self.client.PruneImages(all=True)
        self.assertEqual({False}, {e.shared for e in self.entries("regular")})
        self.imaged.restart()
        self.client = self.imaged.client()
        self.assert_clean(self.client)
        self.assertEqual({True}, set(self.cached(self.build(tags=["app:2"])).values()))
        self.assert_clean(self.client)

    def test_images_outlive_what_was_kept(self):
        self.build(tags=["app:1"])
        freed = self.client.PruneBuildCache(all=True)
        self.assertEqual(3, freed.count)
        self.assertEqual([], self.entries())
        self.assert_clean(self.client)
        self.assertEqual(2, len(self.client.InspectImage(image="app:1").layers))
        self.assertEqual({False}, set(self.cached(self.build()).values()))

    def test_equal_images_are_built_while_others_remove_them(self):
        """Documents that one build finds are another one's, which goes; none of them fails for that."""
        epoch, failures = [pb.BuildArgument(name="SOURCE_DATE_EPOCH", value="1")], []

        def build_and_remove():
            client = self.imaged.client()
            for _ in range(60):
                try:
                    BuildCall(client, "FROM scratch\nENV a=b\n", arguments=epoch).run()
                    client.PruneImages(all=True)
                except grpc.RpcError as error:
                    failures.append(error.details())

        threads = [threading.Thread(target=build_and_remove) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failures)
        self.assert_clean(self.client)

    def test_a_damaged_result_is_forgotten_by_a_repair(self):
        self.build(tags=["app:1"])
        blobs = [layer.diff_id for layer in self.client.InspectImage(image="app:1").layers]
        self.client.RemoveImage(image="app:1")
        path = os.path.join(self.imaged.root, "content", "sha256", blobs[0][7:9], blobs[0][7:])
        os.chmod(path, 0o600)
        with open(path, "r+b") as file:
            file.seek(600)
            file.write(b"damage")
        check = self.imaged.ctl("system", "check", check=False)
        self.assertEqual(1, check.returncode)
        self.assertIn("damaged content " + blobs[0], check.stdout + check.stderr)
        self.ctl("system", "check", "--repair")
        self.assertEqual(1, len(self.entries("regular")))
        self.assert_clean(self.client)
        cached = self.cached(self.build())
        self.assertEqual(1, sum(cached.values()), cached)

    def test_a_result_whose_layer_is_gone_is_made_again(self):
        self.build(tags=["app:1"])
        blob = self.client.InspectImage(image="app:1").layers[1].diff_id
        self.client.RemoveImage(image="app:1")
        os.unlink(os.path.join(self.imaged.root, "content", "sha256", blob[7:9], blob[7:]))
        call = self.build(tags=["app:2"])
        self.assertEqual([True, False], [self.cached(call)[name] for name in sorted(self.cached(call))])
        self.assert_clean(self.client)

    def test_disk_usage_tells_it(self):
        self.build(tags=["app:1"])
        usage = self.client.GetDiskUsage()
        (context,) = self.entries("source.local")
        self.assertEqual((3, 0), (usage.build_cache_count, usage.build_cache_active))
        self.assertEqual(context.size, usage.build_cache_bytes, "an image has the layers too")
        self.client.RemoveImage(image="app:1")
        usage = self.client.GetDiskUsage()
        self.assertEqual(sum(e.size for e in self.entries()), usage.build_cache_bytes)
        self.assertEqual(usage.build_cache_bytes, usage.build_cache_reclaimable)
        row = [line for line in self.ctl("system", "df").splitlines() if line.startswith("Build Cache")]
        self.assertRegex(row[0], r"^Build Cache +3 +0 +[\d.]+kB +[\d.]+kB$")
        verbose = self.ctl("system", "df", "-v")
        self.assertRegex(verbose, r"Build cache usage: [\d.]+kB\n\nCACHE ID +CACHE TYPE +SIZE +CREATED +LAST USED +USAGE +SHARED\n")
        self.assertEqual(2, len(re.findall(r"(?m)^[0-9a-f]{12} +regular ", verbose)))
        raw = self.ctl("system", "df", "-v", "--format", "raw")
        self.assertEqual(2, len(re.findall(r"(?m)^type: Build Cache\nbuild_cache_id: \S+\nparent_id: .*\nbuild_cache_type: regular\n", raw)))


class Pruned(CacheCase):
    def test_the_longest_unused_go_first(self):
        self.build("FROM scratch\nCOPY a /a\n")
        self.build("FROM scratch\nCOPY b /b\n")
        self.client.PruneImages(all=True)
        newer = [e for e in self.entries("regular") if "COPY b" in e.description]
        keep = sum(e.size for e in newer + self.entries("source.local"))
        dry = self.client.PruneBuildCache(all=True, keep_bytes=keep, dry_run=True)
        self.assertEqual((1, 2), (dry.count, len(self.entries("regular"))))
        done = self.client.PruneBuildCache(all=True, keep_bytes=keep)
        self.assertEqual((dry.freed, [e.id for e in dry.removed]), (done.freed, [e.id for e in done.removed]))
        self.assertEqual([e.id for e in newer], [e.id for e in self.entries("regular")])

    def test_by_age_and_by_kind(self):
        self.build()
        self.client.PruneImages(all=True)
        self.assertEqual(0, self.client.PruneBuildCache(all=True, unused_seconds=3600).count)
        self.assertEqual(0, self.client.PruneBuildCache(all=True, kinds=["exec.cachemount"]).count)
        self.assertEqual(1, self.client.PruneBuildCache(all=True, kinds=["source.local"]).count)
        self.assertEqual([], self.entries("source.local"))
        self.assertEqual(2, self.client.PruneBuildCache(kinds=["regular", "internal"]).count)
        for wrong in ({"keep_bytes": -1}, {"unused_seconds": -1}):
            self.assert_rpc_fails("INVALID_ARGUMENT", None, lambda w=wrong: self.client.PruneBuildCache(**w))

    def test_what_images_share_stays_without_all(self):
        self.build(tags=["app:1"])
        self.assertEqual(0, self.client.PruneBuildCache().count)
        self.assertEqual(3, len(self.entries()))

    def test_the_daemon_keeps_its_limits(self):
        self.build()
        self.client.PruneImages(all=True)
        self.imaged.stop()
        self.start("--build-cache-max", "1")
        self.wait_until(lambda: not self.entries(), "what is over the limit goes")
        self.assertIsNotNone(self.imaged.wait_log(r"build cache: \d+ bytes removed that were over its limit"))
        self.assert_clean(self.client)

    def test_the_daemon_removes_what_is_old(self):
        self.build()
        self.client.PruneImages(all=True)
        self.imaged.stop()
        self.start("--build-cache-unused", "1ns", "--build-cache-max", "none")
        self.wait_until(lambda: not self.entries(), "what was not used for long goes")

    def test_wrong_limits_are_refused(self):
        for flag, value in (("max", "5 apples"), ("max", "0"), ("unused", "14"), ("unused", "-1h")):
            done = subprocess.run(
                [program("imaged"), "--root", self.path("r"), f"--build-cache-{flag}={value}"], stderr=subprocess.PIPE, text=True, timeout=60, check=False
            )
            self.assertEqual(1, done.returncode)
            self.assertIn(f"build-cache-{flag} must be", done.stderr)

    def test_builds_and_prunings_at_once_harm_nothing(self):
        stop = threading.Event()

        def prune():
            with_own = self.imaged.client()
            while not stop.is_set():
                with_own.PruneBuildCache(all=True)
                with_own.PruneImages(all=True)

        pruner = threading.Thread(target=prune)
        pruner.start()
        try:
            for number in range(12):
                BuildCall(self.client, COPIES, Directory("cache", {**FILES, "b": b"%d" % (number // 3)}), tags=["app:1"]).run()
        finally:
            stop.set()
            pruner.join()
        self.assert_clean(self.client)


class Commands(CacheCase):
    def test_cache_ls_and_prune(self):
        self.build(tags=["app:1"])
        lines = self.ctl("build", "cache", "ls").splitlines()
        self.assertRegex(lines[0], "^CACHE ID +CACHE TYPE +SIZE +CREATED +LAST USED +USAGE +SHARED +DESCRIPTION$")
        self.assertEqual(4, len(lines))
        ids = self.ctl("build", "cache", "ls", "--format", "{{.ID}} {{.CacheType}} {{.Shared}}").splitlines()
        self.assertEqual(2, sum(line.endswith(" regular true") for line in ids))
        self.assertEqual([line.split()[0] for line in ids], self.ctl("build", "cache", "ls", "-q").splitlines())
        whole = self.ctl("build", "cache", "ls", "-q", "--no-trunc").splitlines()
        self.assertEqual([e.id for e in self.entries()], whole)
        asked = self.ctl("builder", "prune", "-a", input="n\n")
        self.assertEqual("WARNING! This will remove all build cache.\nAre you sure you want to continue? [y/N] ", asked)
        self.assertTrue(self.ctl("builder", "prune", input="").startswith("WARNING! This will remove all dangling build cache.\n"))
        dry = self.ctl("build", "cache", "prune", "-a", "--dry-run")
        self.assertTrue(dry.startswith("Build cache objects that would be deleted:\n"))
        self.assertEqual(set(whole), set(re.findall(r"(?m)^[0-9a-f]{64}$", dry)))
        told = json.loads(self.ctl("build", "cache", "prune", "-a", "--dry-run", "--format", "json"))
        self.assertEqual((set(whole), 0, True), (set(told["Removed"]), told["LeftOut"], told["DryRun"]))
        wrong = self.imaged.ctl("build", "cache", "prune", "-af", "--format", "{{", check=False)
        self.assertIn("template parsing error", wrong.stderr)
        self.assertEqual("Total reclaimed space: 0B\n", self.ctl("build", "cache", "prune", "-f"))
        self.assertEqual("Total reclaimed space: 0B\n", self.ctl("builder", "prune", "-af", "--filter", "until=24h"))
        pruned = self.ctl("builder", "prune", "-af")
        self.assertRegex(pruned, r"^Deleted build cache objects:\n([0-9a-f]{64}\n){3}\nTotal reclaimed space: [\d.]+kB\n$")
        self.assertEqual(1, len(self.ctl("build", "cache", "ls").splitlines()))
        self.assertIn("invalid filter 'foo'", self.imaged.ctl("builder", "prune", "-f", "--filter", "foo=bar", check=False).stderr)

    def test_pruning_heeds_the_filters_of_the_configuration(self):
        self.build()
        configured = {"DOCKER_CONFIG": self.path()}
        with open(self.path("config.json"), "w", encoding="ascii") as file:
            json.dump({"pruneFilters": ["until=24h", "label=a"]}, file)
        both = self.imaged.ctl("builder", "prune", "-af", "--filter", "until=1h", env=configured, check=False)
        self.assertEqual((1, ""), (both.returncode, both.stdout))
        self.assertIn("filters expect only one value", both.stderr)
        self.assertEqual("Total reclaimed space: 0B\n", self.imaged.ctl("builder", "prune", "-af", env=configured).stdout)
        self.assertNotEqual([], self.entries())

    def test_a_directory_named_history_can_be_built(self):
        os.makedirs(self.path("history"))
        with open(self.path("history", "Dockerfile"), "w", encoding="ascii") as file:
            file.write("FROM scratch\nLABEL a=b\n")
        done = subprocess.run(
            [program("imagectl"), "build", "history"],
            cwd=self.dir,
            env={**os.environ, "IMAGED_HOST": self.imaged.address, "XDG_STATE_HOME": self.path("state")},
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(["history Completed"], self.ctl("build", "history", "ls", "--format", "{{.Name}} {{.Status}}").splitlines())


class SystemPrune(CacheCase):
    """Images and what builds keep, in one."""

    def setUp(self):
        super().setUp()
        self.build("FROM scratch\nCOPY a /a\n", tags=["app:1"])

    def prune(self, *args, **more):
        return self.imaged.ctl("system", "prune", *args, **more)

    def names(self):
        return [name.rpartition("/")[2] for image in self.client.images() for name in image.repo_tags]

    def test_all_takes_images_and_results(self):
        said = self.prune("-af").stdout
        self.assertRegex(
            said,
            r"\ADeleted Images:\nuntagged: app:1\n(deleted: sha256:[0-9a-f]{64}\n)+\n"
            r"Deleted build cache objects:\n([0-9a-f]{64}\n)+\nTotal reclaimed space: [\d.]+kB\n\Z",
        )
        self.assertEqual(([], []), (self.names(), self.entries()))
        self.assertEqual("Total reclaimed space: 0B\n", self.prune("-af").stdout)

    def test_the_total_is_of_both(self):
        parts = [
            json.loads(self.ctl(*group, "prune", "-a", "--dry-run", "--format", "json"))
            for group in (("image",), ("build", "cache"))
        ]
        total = parts[0]["Reclaimed"] + parts[1]["Freed"]
        self.assertEqual(f"{total / 1000:.4g}kB", self.prune("-a", "--dry-run").stdout.split()[-1])
        self.assertEqual(["app:1"], self.names())

    def test_an_image_with_a_name_stays(self):
        self.assertNotIn("Deleted Images", self.prune("-f").stdout)
        self.assertEqual(["app:1"], self.names())

    def test_labels_choose_among_images_only(self):
        self.build("FROM scratch\nCOPY b /b\n", tags=["app:2"], labels={"keep": "me"})
        self.prune("-af", "--filter", "label!=keep")
        self.assertEqual((["app:2"], []), (self.names(), self.entries()))

    def test_until_chooses_among_both(self):
        self.assertEqual("Total reclaimed space: 0B\n", self.prune("-af", "--filter", "until=24h").stdout)
        self.assertEqual((["app:1"], True), (self.names(), bool(self.entries())))

    def test_question(self):
        own = self.prune(input="n\n").stdout
        self.assertEqual("WARNING! This will remove:\n  - all dangling images\n  - unused build cache\n\n"
                         "Are you sure you want to continue? [y/N] ", own)
        asked = self.prune("-a", "--filter", "label=x10", "--filter", "until=1h", "--filter", "label=x2", input="\n", name="docker").stdout
        self.assertEqual(
            [
                "WARNING! This will remove:",
                "  - all stopped containers",
                "  - all networks not used by at least one container",
                "  - all images without at least one container associated to them",
                "  - all build cache",
                "",
                "  Items to be pruned will be filtered with:",
                "  - label=x2",
                "  - label=x10",
                "  - until=1h",
                "",
                "Are you sure you want to continue? [y/N] ",
            ],
            asked.split("\n"),
        )
        self.assertIn("  - all anonymous volumes not used by at least one container\n",
                      self.prune("--volumes", input="n\n", name="docker").stdout)
        self.assertEqual(["app:1"], self.names())
        self.prune("-a", input="y\n")
        self.assertEqual([], self.names())

    def test_filters_of_the_configuration(self):
        with open(self.path("config.json"), "w", encoding="ascii") as file:
            json.dump({"pruneFilters": ["until=24h"]}, file)
        self.prune("-af", env={"DOCKER_CONFIG": self.path()})
        self.assertEqual(["app:1"], self.names())

    def test_refused(self):
        for args, text in (
            (("-f", "--filter", "foo=bar"), "invalid filter 'foo'"),
            (("-f", "--filter", "dangling=true"), "invalid filter 'dangling'"),
            (("--volumes", "--filter", "until=1h"), 'ERROR: The "until" filter is not supported with "--volumes"'),
        ):
            refused = self.prune(*args, check=False)
            self.assertEqual((1, ""), (refused.returncode, refused.stdout))
            self.assertIn(text, refused.stderr)
        self.assertEqual(["app:1"], self.names())


class Records(CacheCase):
    def test_what_is_on_record(self):
        self.build(tags=["app:1"], dockerfile_name="Dockerfile.test", target="")
        failed = BuildCall(self.client, "FROM scratch\nCOPY nothing /\n", Directory("cache", FILES)).fails()
        bad, good = self.client.ListBuilds().builds
        self.assertEqual((pb.BuildInfo.STATE_DONE, "Dockerfile.test"), (good.state, good.dockerfile))
        self.assertEqual(["docker.io/library/app:1"], [t if "/" in t else f"docker.io/library/{t}" for t in good.tags])
        self.assertEqual(self.client.InspectImage(image="app:1").image.id, good.image_id)
        self.assertEqual(pb.BuildInfo.STATE_FAILED, bad.state)
        self.assertIn(bad.error, failed.details() + bad.error)
        self.assertIn("nothing", bad.error)
        self.assertGreater(bad.id, good.id)
        self.assertGreaterEqual(good.ended.ToNanoseconds(), good.started.ToNanoseconds())

    def test_one_is_found_by_its_beginning_or_its_place(self):
        for _ in range(3):
            self.build()
        ids = [b.id for b in self.client.ListBuilds().builds]
        self.assertEqual(ids, sorted(ids, reverse=True))
        self.assertEqual([ids[1]], [b.id for b in self.client.ListBuilds(id="^1").builds])
        self.assertEqual([ids[2]], [b.id for b in self.client.ListBuilds(id=ids[2][:24]).builds])
        first = self.client.ListBuilds(page_size=2)
        self.assertEqual((ids[:2], ids[1]), ([b.id for b in first.builds], first.next_page_token))
        self.assertEqual(ids[2:], [b.id for b in self.client.ListBuilds(page_token=ids[1]).builds])
        self.assert_rpc_fails("FAILED_PRECONDITION", "CONFLICT", lambda: self.client.ListBuilds(id=ids[0][:1]))
        for missing in ("^3", "zzz", "../../lock", "x" * 500):
            self.assert_rpc_fails("NOT_FOUND", None, lambda m=missing: self.client.ListBuilds(id=m))
            self.assert_rpc_fails("NOT_FOUND", None, lambda m=missing: list(self.client.GetBuildLog(id=m)))
        self.assert_rpc_fails("INVALID_ARGUMENT", None, lambda: self.client.ListBuilds(id="^one"))

    def test_the_log_is_what_the_client_was_sent_of_its_progress(self):
        call = self.build()
        log = list(self.client.GetBuildLog())
        wanted = ("started", "step", "log", "progress", "warning")
        sent = [e for e in call.events if e.WhichOneof("event") in wanted]
        self.assertEqual([e.SerializeToString() for e in sent], [e.SerializeToString() for e in log if e.WhichOneof("event") in wanted])

    def test_a_log_that_is_damaged_harms_nobody(self):
        self.build()
        (build,) = self.client.ListBuilds().builds
        path = os.path.join(self.imaged.root, "builds", "logs", build.id)
        with open(path, "rb") as file:
            whole = file.read()
        told = len(list(self.client.GetBuildLog()))
        for cut in (1, 5, len(whole) // 2, len(whole) - 1):
            with open(path, "wb") as file:
                file.write(whole[:cut])
            self.assertLess(len(list(self.client.GetBuildLog())), told)
        for damage in (b"\xff\xff\xff\xff", b"\xff\xff\x3f\x00half", b""):
            with open(path, "wb") as file:
                file.write(damage)
            self.assertEqual([], list(self.client.GetBuildLog()))
        with open(path, "wb") as file:
            file.write(b"\x04\x00\x00\x00\xff\xff\xff\xff")
        self.assert_rpc_fails("DATA_LOSS", "CONTENT_DAMAGED", lambda: list(self.client.GetBuildLog()))
        os.unlink(path)
        self.assert_rpc_fails("NOT_FOUND", None, lambda: list(self.client.GetBuildLog()))

    def test_commands(self):
        self.build(tags=["app:1"])
        self.build(tags=["app:2"])
        newest, oldest = self.ctl("build", "history", "ls", "-q").splitlines()
        self.assertRegex(self.ctl("build", "history", "ls"), r"^BUILD ID +NAME +STATUS +CREATED AT +DURATION\n")
        shown = self.ctl("build", "history", "inspect", oldest)
        self.assertRegex(shown, rf"(?m)^Build ID: +{oldest}$")
        self.assertRegex(shown, r"(?m)^Status: +Completed$")
        self.assertRegex(shown, r"(?m)^Tags: +.*app:1$")
        self.assertEqual(newest, self.ctl("build", "history", "inspect", "--format", "{{.Ref}}").strip())
        logs = self.ctl("build", "history", "logs", newest)
        self.assertRegex(logs, r"(?m)^#\d+ \[.*\] COPY a /a\n#\d+ CACHED$")
        self.assertIn('"vertexes"', self.ctl("build", "history", "logs", "--progress", "rawjson"))
        self.assertEqual(newest + "\n", self.ctl("build", "history", "rm", "^0"))
        self.assertEqual([oldest], self.ctl("build", "history", "ls", "-q").splitlines())
        self.assertEqual({"Removed": [oldest]}, json.loads(self.ctl("builder", "history", "rm", "--all", "--format", "json")))
        self.assertEqual([], os.listdir(os.path.join(self.imaged.root, "builds", "logs")))
        for args in (("rm",), ("rm", "--all", "x"), ("inspect",), ("logs", "nothing")):
            self.assertNotEqual(0, self.imaged.ctl("build", "history", *args, check=False).returncode, args)

    def test_a_build_that_a_kill_ended_was_interrupted(self):
        call = BuildCall(self.client, COPIES, Directory("held", FILES))
        call.sources = []  # nobody answers: it waits for its context
        call.until(lambda e: e.WhichOneof("event") in ("want_list", "want_files"))
        (running,) = self.client.ListBuilds().builds
        self.assertEqual(pb.BuildInfo.STATE_RUNNING, running.state)
        self.assert_rpc_fails("FAILED_PRECONDITION", "CONFLICT", lambda: self.client.RemoveBuilds(ids=["^0"]))
        self.assertEqual([], list(self.client.RemoveBuilds(all=True).removed))
        self.imaged.process.kill()  # before anybody hangs up
        self.imaged.process.wait()
        call.half_close()
        self.imaged.kill()
        self.imaged.start()
        self.client = self.imaged.client()
        (build,) = self.client.ListBuilds().builds
        self.assertEqual((running.id, pb.BuildInfo.STATE_INTERRUPTED), (build.id, build.state))
        self.assertEqual([build.id], list(self.client.RemoveBuilds(all=True).removed))


@unittest.skipUnless(os.geteuid() == 0, "RUN needs root here")
class CacheMounts(CacheCase):
    RUN = "FROM busybox:latest\nRUN --network=none --mount=type=cache,id=c,target=/c echo x >> /c/f && wc -l < /c/f > /lines && cat /lines\n"

    def setUp(self):
        super().setUp()
        with open(self.path("busybox.tar"), "wb") as file:
            file.write(fixtures.busybox_tar())
        self.imaged.ctl("import", self.path("busybox.tar"), "busybox:latest")

    def lines(self, **fields):
        call = self.build(self.RUN, no_cache=True, **fields)
        return int(call.log(next(name for name in call.names() if " RUN " in name)))

    def test_they_are_listed_and_pruned(self):
        self.assertEqual([1, 2], [self.lines(), self.lines()])
        (mount,) = self.entries("exec.cachemount")
        self.assertEqual(("c", 2, False), (mount.description, mount.use_count, mount.shared))
        self.imaged.kill()
        self.imaged.start()
        self.client = self.imaged.client()
        self.assertEqual(3, self.lines(), "a kill loses nothing of it")
        done = self.client.PruneBuildCache(kinds=["exec.cachemount"])
        self.assertEqual(["c"], [e.description for e in done.removed])
        self.assertEqual([], os.listdir(os.path.join(self.imaged.root, "builds", "caches")))
        self.assertEqual(1, self.lines())


if __name__ == "__main__":
    unittest.main()
