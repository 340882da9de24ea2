"""Graphs of builds, solved: what is executed, what is found, what is shared."""

import os
import re
import subprocess
import unittest

from runstep import processes
from solverun import SolveCase

CACHE = "--mount=type=cache,id=talk,target=/talk"
WAIT = "while [ ! -e /talk/go ]; do usleep 20000; done"
SECRET = "s3cr3t-value-of-a-test"


class Case(SolveCase):
    def steps_left(self):
        return os.listdir(self.path("store", "builds", "steps"))


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Executing(Case):
    def test_steps_stand_on_each_other(self):
        result = self.build(
            "FROM base AS a\nRUN echo one > /one\nRUN cat /one > /two && rm /one\nFROM base\nCOPY --from=a /two /copied\n"
            "WORKDIR /w\nRUN cat /copied && pwd\n",
        )
        self.assertEqual("one\n/w\n", self.log)
        self.assertEqual(4, len(result["layers"]))
        self.assertEqual({"copied": b"one\n"}, self.files(result, 1))
        self.assertEqual(["w"], list(self.files(result, 2)))
        self.assertEqual({}, self.files(result, 3))

    def test_nothing_that_the_target_does_not_need(self):
        self.build("FROM base AS no\nRUN false\nFROM base AS yes\nRUN true\nFROM base\nRUN false", target="yes")
        self.assertEqual({"RUN true": "done"}, self.states)

    def test_stages_run_at_the_same_time(self):
        """Each waits for all others, which would take for ever one after the other."""
        stages = "".join(
            f"FROM base AS s{i}\nRUN {CACHE} touch /talk/{i}; for n in 0 1 2 3; do "
            "while [ ! -e /talk/$n ]; do usleep 20000; done; done\n"
            for i in range(4)
        )
        copies = "".join(f"COPY --from=s{i} /etc/passwd /{i}\n" for i in range(4))
        self.build(f"{stages}FROM scratch\n{copies}")
        self.assertEqual(8, list(self.states.values()).count("done"))

    def test_equal_steps_of_two_stages_are_one(self):
        self.build(f"FROM base AS a\nRUN {CACHE} echo x >> /talk/n\nFROM base\nRUN {CACHE} echo x >> /talk/n\nCOPY --from=a /etc /e\n")
        self.build(f"FROM base\nRUN {CACHE} cat /talk/n\n")
        self.assertEqual("x\n", self.log)

    def test_link_is_made_without_what_is_below(self):
        result = self.build("FROM base\nRUN ln -s /etc /l\nCOPY --link f /l/f\n", {"f": b"F"})
        self.assertIn("l/f", self.files(result))
        self.build("FROM base\nRUN echo other\nCOPY --link f /l/f\n", {"f": b"F"})
        self.assertEqual({"RUN echo other": "done", "COPY --link f /l/f": "cached"}, self.states)

    def test_mounts_of_stages_and_contexts(self):
        self.build(
            "FROM base AS a\nRUN mkdir -p /d/e && echo stage > /d/e/f\nFROM base\n"
            "RUN --mount=type=bind,from=a,source=d,target=/m --mount=source=c,target=/c --mount=target=/all,rw "
            "--mount=type=tmpfs,target=/t cat /m/e/f /c/g /all/c/g; ! touch /m/x; touch /all/x /t/y\n",
            {"c/": b"", "c/g": b"context\n", "other": b""},
        )
        self.assertEqual("stage\ncontext\ncontext\n", self.log)

    def test_mounts_count_by_what_they_hold(self):
        dockerfile = "FROM base\nRUN --mount=source=c,target=/c cat /c/g\n"
        self.build(dockerfile, {"c/": b"", "c/g": b"1", "other": b"1"})
        self.build(dockerfile, {"c/": b"", "c/g": b"1", "other": b"2"})
        self.assertEqual(["cached"], list(self.states.values()))
        self.build(dockerfile, {"c/": b"", "c/g": b"2", "other": b"2"})
        self.assertEqual(["done"], list(self.states.values()))

    def test_caches_keep_what_steps_left_and_begin_with_a_stage(self):
        seed = "FROM base AS seed\nRUN mkdir /s && echo seed > /s/f\nFROM base\n"
        mount = "--mount=type=cache,from=seed,source=/s,target=/c"
        self.build(f"{seed}RUN {mount} cat /c/f; echo more >> /c/f\n")
        self.assertEqual("seed\n", self.log)
        self.build(f"{seed}RUN {mount} cat /c/f; true\n")
        self.assertEqual("seed\nmore\n", self.log)

    def test_locked_caches_are_used_one_after_the_other(self):
        """Two caches in two orders; each step sees nothing of the other one."""
        mounts = [f"--mount=type=cache,sharing=locked,id={i},target=/{i}" for i in "ab"]
        body = "[ ! -e /a/in ] && touch /a/in && usleep 50000 && rm /a/in"
        self.build(
            f"FROM base AS x\nRUN {mounts[0]} {mounts[1]} {body}\nFROM base AS y\nRUN {mounts[1]} {mounts[0]} {body}; true\n"
            f"FROM base AS z\nRUN {mounts[1]} {mounts[0]} echo z && {body}\n"
            "FROM scratch\nCOPY --from=x /etc /x\nCOPY --from=y /etc /y\nCOPY --from=z /etc /z\n"
        )

    def test_one_cache_at_two_places_of_a_step(self):
        """It is one directory, and nobody waits for himself."""
        for sharing in ("shared", "locked", "private"):
            for origin in ("", ",from=base,source=/etc"):
                mounts = [f"--mount=type=cache,id={sharing},sharing={sharing}{origin},target=/{t}" for t in "xy"]
                self.build(f"FROM base\nRUN {' '.join(mounts)} touch /x/new && ls /y/new && ! ls /y/none\n")

    def test_locked_caches_of_one_name_in_two_orders(self):
        """They differ by their owners, and are held one after the other in the same order."""
        mounts = [f"--mount=type=cache,sharing=locked,id=a,uid={i},target=/{i}" for i in (1, 2)]
        numbers = [
            self.start(f"FROM base\nENV N={n}\n" + "".join(f"RUN {a} {b} true {i}\n" for i in range(20)))
            for n, (a, b) in enumerate((mounts, mounts[::-1]))
        ]
        for n in numbers:
            self.assertNotIn("failed", self.solver.result(n))

    def test_secrets_are_there_and_nowhere_else(self):
        dockerfile = (
            "FROM base\nRUN --mount=type=secret,id=s --mount=type=secret,id=s,env=V "
            'test "$(cat /run/secrets/s)" = "$V" && echo ${#V}\n'
        )
        result = self.build(dockerfile, secrets={"s": SECRET})
        self.assertEqual(f"{len(SECRET)}\n", self.log)
        self.assertEqual({}, self.files(result))
        self.build(dockerfile, secrets={"s": "another"})
        self.assertEqual(["cached"], list(self.states.values()))
        for directory, _, names in os.walk(self.path("store")):
            for name in names:
                with open(os.path.join(directory, name), "rb") as file:
                    self.assertNotIn(SECRET.encode(), file.read(), name)

    def test_a_secret_that_is_missing(self):
        self.build("FROM base\nRUN --mount=type=secret,id=s test ! -e /run/secrets/s\n")
        self.refused("NOT_FOUND", "^secret s: not found$", "FROM base\nRUN --mount=type=secret,id=s,required true\n")
        self.refused(
            "NOT_FOUND", '^no SSH key "default" forwarded from the client$', "FROM base\nRUN --mount=type=ssh,required true\n"
        )

    def test_networks(self):
        self.build("FROM base\nRUN --network=none ls /sys/class/net\n")
        self.assertEqual("lo\n", self.log)
        self.build("FROM base\nRUN ls /sys/class/net | wc -l\n", network="none")
        self.assertEqual("1\n", self.log)
        self.refused("ACCESS_DENIED", "network.host is not allowed", "FROM base\nRUN --network=host true\n")
        self.build("FROM base\nRUN --network=host true\n", allow=["network.host"])
        self.refused("ACCESS_DENIED", "network.host is not allowed", "FROM base\nRUN --network=host true\n")

    def test_security(self):
        self.refused("ACCESS_DENIED", "security.insecure is not allowed", "FROM base\nRUN --security=insecure true\n")
        self.build("FROM base\nRUN --security=insecure grep CapEff /proc/self/status\n", allow=["security.insecure"])
        with open("/proc/self/status", encoding="ascii") as file:
            self.assertIn(self.log.split()[1], re.search("CapBnd:.*", file.read())[0])

    def test_scripts_of_documents(self):
        self.build("FROM base\nRUN <<E\n#!/bin/sh\necho $0\nE\nRUN <<E\necho shell\nE\n")
        self.assertEqual("/dev/pipes/E\nshell\n", self.log)

    def test_another_platform(self):
        self.refused(
            "UNSUPPORTED_CONTENT",
            "^RUN for linux/s390x: this machine is linux/.* and has no emulator",
            "FROM base\nRUN true\n",
            platform="linux/s390x",
        )
        self.build("FROM base\nCOPY f /f\n", {"f": b"F"}, platform="linux/s390x")


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Cache(Case):
    DOCKERFILE = "FROM base\nARG V\nCOPY f /f\nCOPY d /d\nRUN echo $V\n"
    FILES = {"f": b"F", "d/": b"", "d/x": b"X", "other": b"O"}

    def rerun(self, dockerfile=None, files=None, **fields):
        """Which steps ran again."""
        self.build(dockerfile or self.DOCKERFILE, {**self.FILES, **(files or {})}, **fields)
        return [name.split()[0] + " " + name.split()[1] for name, state in self.states.items() if state == "done"]

    def test_what_counts(self):
        """build.md 2.1, line by line; each is one change since a warm build."""
        self.assertEqual(["COPY f", "COPY d", "RUN echo"], self.rerun(args={"V": "1"}))
        for what, files, fields, wanted in (
            ("nothing", {}, {}, []),
            ("times", {"f": (b"F", {"mtime": 5}), "d/x": (b"X", {"mtime": 7})}, {}, []),
            ("owners", {"f": (b"F", {"uid": 12, "gid": 13}), "d/": (b"", {"uid": 9})}, {}, []),
            ("a file that is not copied", {"other": b"changed"}, {}, []),
            ("mode of a copied file", {"d/x": (b"X", {"mode": 0o755})}, {}, ["COPY d", "RUN echo"]),
            ("another file in a copied directory", {"d/y": b"Y"}, {}, ["COPY d", "RUN echo"]),
            ("mode of the copied directory itself", {"d/": (b"", {"mode": 0o700})}, {}, []),
            ("content", {"f": b"G"}, {}, ["COPY f", "COPY d", "RUN echo"]),
            ("an argument that RUN alone sees", {}, {"args": {"V": "2"}}, ["RUN echo"]),
        ):
            with self.subTest(what):
                self.assertEqual(wanted, self.rerun(None, files, **{"args": {"V": "1"}, **fields}))

    def test_the_text_of_an_instruction_does_not_count(self):
        self.rerun("FROM base\nCOPY f /f\nCOPY --chown=1:2 d /d\n")
        self.assertEqual([], self.rerun("# comment\nFROM base\nENV A=1\nLABEL b=c\nCOPY ./f   /f\ncopy --chown=1:2 d /d\n"))
        self.assertEqual(["COPY --chown=1:3"], self.rerun("FROM base\nCOPY f /f\nCOPY --chown=1:3 d /d\n"))

    def test_it_is_there_in_the_next_process(self):
        self.rerun(args={"V": "1"})
        self.reopen()
        self.assertEqual([], self.rerun(args={"V": "1"}))
        self.assertEqual(["RUN echo"], self.rerun(args={"V": "2"}))

    def test_a_layer_that_came_out_the_same(self):
        """What stands on it is found, though it was made anew."""
        self.build("FROM base\nRUN echo 1 > /x; touch -d @9 /x /\nRUN echo after\n")
        self.build("FROM base\nRUN echo 1 > /x; touch -d @9 /x /; true\nRUN echo after\n")
        self.assertEqual(["done", "cached"], list(self.states.values()))

    def test_other_paths_of_the_same_stage(self):
        """Their names are the same; nothing was read of the stage when its key is made."""
        stage = "FROM base AS a\nRUN mkdir /1 /2; echo one > /1/f; echo two > /2/f\nFROM base\n"
        for number, content in (("1", b"one\n"), ("2", b"two\n"), ("1", b"one\n")):
            result = self.build(f"{stage}COPY --from=a /{number}/f /f\n")
            self.assertEqual({"f": content}, self.files(result))

    def test_contents_of_a_stage_count(self):
        """The stage is another one by a file that is not copied."""
        self.build("FROM base AS a\nRUN echo 1 > /f; touch -d @9 /f\nFROM base\nCOPY --from=a /f /f\n")
        again = "FROM base AS a\nRUN echo 2 > /g; echo 1 > /f; touch -d @9 /f\nFROM base\nCOPY --from=a /f /f\n"
        for _ in range(2):
            self.build(again)
            self.assertEqual("cached", self.states["COPY --from=a /f /f"])

    def test_without_the_cache(self):
        dockerfile = "FROM base AS a\nRUN echo a\nFROM base\nRUN echo b\nCOPY --from=a /etc/passwd /p\n"
        self.build(dockerfile)
        self.build(dockerfile, no_cache=True)
        self.assertEqual(["done"] * 3, list(self.states.values()))
        self.build(dockerfile, no_cache_stages=["A"])
        self.assertEqual({"RUN echo a": "done", "RUN echo b": "cached", "COPY --from=a /etc/passwd /p": "cached"}, self.states)
        self.build(dockerfile, no_cache_stages=["1"])
        self.assertEqual("cached", self.states["RUN echo a"])
        self.assertEqual("done", self.states["RUN echo b"])
        self.build(dockerfile)
        self.assertEqual(["cached"] * 3, list(self.states.values()))

    def test_what_stands_on_a_layer_that_was_made_anew(self):
        """It is found with the layer that it was made on: both say the same."""
        below = "FROM base AS a\nRUN cat /proc/sys/kernel/random/uuid > /u\n"
        above = f"{below}RUN cp /u /v\nFROM base\nCOPY --from=a /u /v /\nRUN cp /u /w\n"
        first = self.build(above)
        self.build(f"{below}RUN true\n", no_cache=True)
        self.assertEqual(first["layers"], self.build(above)["layers"])
        self.assertEqual(["cached"] * 4, list(self.states.values()))
        self.build(f"{above}RUN cmp /u /v && cmp /u /w\n")
        self.assertEqual(1, list(self.states.values()).count("done"))
        self.reopen()
        self.build(f"{below}RUN true\nRUN true again\n")
        self.assertEqual(["cached", "cached", "done"], list(self.states.values()))

    def test_failures_are_not_kept_and_what_was_before_is(self):
        dockerfile = "FROM base\nRUN echo fine\nRUN false\n"
        for state in ("done", "cached"):
            self.refused("UNKNOWN", "exit code: 1", dockerfile)
            self.assertEqual(state, self.states["RUN echo fine"])

    def explained(self, files=None, dockerfile=None, **fields):
        self.build(dockerfile or self.DOCKERFILE, {**self.FILES, **(files or {})}, explain="this build", **fields)
        return self.solver.told(self.builds, "changed")

    def test_why_a_step_is_not_found(self):
        unknown = "there was no such step in the last build of this Dockerfile and context"
        self.assertEqual([unknown] * 3, self.explained(args={"V": "1"}))
        self.assertEqual([], self.explained(args={"V": "1"}))
        self.assertEqual(["variable V changed"], self.explained(args={"V": "2"}))
        below = "what the step stands on changed"
        self.assertEqual(
            ["file d/y is new", "file d/x is gone", below],
            self.explained({"d/x": (b"", {"name": "d/y"})}, args={"V": "2"}),
        )
        self.assertEqual(["file d/x is new", "file d/y is gone", below], self.explained({"d/x": b"9"}, args={"V": "2"}))
        self.assertEqual(
            ["the command changed"], self.explained({"d/x": b"9"}, self.DOCKERFILE.replace("echo", "echo -n"), args={"V": "2"})
        )
        stage = "FROM base AS a\nRUN touch -d @9 /f\nFROM base\nCOPY --from=a /f /g\n"
        self.explained(None, stage)
        self.assertEqual([], self.explained(None, stage))
        self.assertEqual(
            ["the command changed", "the contents of /f changed"], self.explained(None, stage.replace("@9", "@8; echo > /f"))
        )
        self.explained({"d/x": b"9"}, args={"V": "2"})
        self.assertEqual(["the cache was not asked for it"] * 3, self.explained({"d/x": b"9"}, args={"V": "2"}, no_cache=True))


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Failing(Case):
    def test_in_the_words_of_buildkit(self):
        result = self.refused(
            "UNKNOWN",
            '^process "/bin/sh -c echo no >&2; exit 3" did not complete successfully: exit code: 3$',
            "FROM base\n\nRUN echo no >&2; exit 3\n",
        )
        self.assertEqual([3, 3], result["lines"])
        self.assertEqual(["no\n"], self.solver.told(self.builds, "error"))

    def test_the_others_end_too(self):
        number = self.start(
            f"FROM base AS a\nRUN {CACHE} echo begun; {WAIT}; exit 7\nFROM base AS b\nRUN echo begun; sleep 4321\n"
            "FROM scratch\nCOPY --from=a /etc /a\nCOPY --from=b /etc /b\n"
        )
        self.solver.wait_state(number, "sleep 4321", "log: begun")
        self.solver.wait_state(number, "exit 7", "log: begun")
        self.build(f"FROM base\nRUN {CACHE} touch /talk/go\n")
        self.assertRegex(self.solver.result(number)["text"], "exit code: 7$")
        self.assertEqual("failed: CANCELED", self.solver.states(number)["RUN echo begun; sleep 4321"])
        self.assertEqual([], processes("sleep\x004321"))

    def test_a_file_that_is_not_there(self):
        result = self.refused("NOT_FOUND", '"/missing": not found', "FROM base\nRUN true\nCOPY missing /f\n", {"f": b""})
        self.assertEqual([3, 3], result["lines"])

    def test_cancelled(self):
        number = self.start("FROM base\nRUN echo begun; sleep 4322\n")
        self.solver.wait_state(number, "sleep", "log: begun")
        self.solver.send(op="cancel", id=number)
        self.assertEqual("CANCELLED", self.solver.result(number)["failed"])
        self.assertEqual("failed: CANCELED", self.solver.states(number)["RUN echo begun; sleep 4322"])
        self.assertEqual([], processes("sleep\x004322"))
        self.reopen()
        self.assertEqual([], self.steps_left())

    def test_killed(self):
        number = self.start("FROM base\nRUN echo begun; sleep 4323\n")
        self.solver.wait_state(number, "sleep", "log: begun")
        self.assertNotEqual([], self.steps_left())
        self.solver.kill()
        self.wait_until(lambda: not processes("sleep\x004323"), "the step ended")
        self.open()
        self.assertEqual([], self.steps_left())
        self.build("FROM base\nRUN true\n")


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class FullDisk(Case):
    SIZE = 24 << 20

    def open(self):
        store = self.path("store")
        os.mkdir(store)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "none", store], check=True)
        super().open()

    def _unmounted(self):
        subprocess.run(["umount", self.path("store")], check=True)
        super()._unmounted()

    def test_the_build_says_so_and_the_next_one_has_room(self):
        dockerfile = "FROM scratch\nCOPY small /\nCOPY d /\n"
        large = {"small": b"S", "d/": b"", "d/x": os.urandom(self.SIZE // 3)}
        self.refused("DISK_FULL", "No space left|not enough", dockerfile, large)
        self.build(dockerfile, {**large, "d/x": os.urandom(self.SIZE // 16)})
        self.assertEqual({"COPY small /": "cached", "COPY d /": "done"}, self.states)


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Sharing(Case):
    STEP = f"FROM base\nRUN {CACHE} echo x >> /talk/count; echo begun; {WAIT}; echo over\n"

    def begin_two(self):
        """The second one joins the step of the first."""
        first = self.start(self.STEP)
        self.solver.wait_state(first, "RUN", "log: begun")
        second = self.start(self.STEP)
        self.solver.wait_state(second, "RUN", "log: begun")
        return first, second

    def go(self):
        self.build(f"FROM base\nRUN {CACHE} touch /talk/go\n")

    def count(self):
        self.build(f"FROM base\nRUN {CACHE} cat /talk/count\n")
        return self.log

    def test_two_builds_share_a_step_and_what_it_says(self):
        first, second = self.begin_two()
        self.go()
        self.assertEqual(self.solver.result(first)["layers"], self.solver.result(second)["layers"])
        for number in (first, second):
            self.assertEqual("begun\nover\n", "".join(self.solver.told(number, "log")))
        self.assertEqual("x\n", self.count())

    def test_it_goes_on_for_the_other_one(self):
        first, second = self.begin_two()
        self.solver.send(op="cancel", id=first)
        self.solver.wait_state(first, "RUN", "failed: CANCELED")
        self.go()
        self.assertIn("done", self.solver.result(second))
        self.assertEqual("CANCELLED", self.solver.result(first)["failed"])
        self.assertEqual("x\n", self.count())

    def test_it_ends_when_nobody_wants_it(self):
        first, second = self.begin_two()
        for number in (second, first):
            self.solver.send(op="cancel", id=number)
            self.solver.wait_state(number, "RUN", "failed: CANCELED")
        for number in (first, second):
            self.assertEqual("CANCELLED", self.solver.result(number)["failed"])

    def test_a_failure_is_for_both(self):
        step = f"FROM base\nRUN {CACHE} echo begun; {WAIT}; exit 9\n"
        first = self.start(step)
        self.solver.wait_state(first, "RUN", "log: begun")
        second = self.start(step)
        self.solver.wait_state(second, "RUN", "log: begun")
        self.go()
        for number in (first, second):
            self.assertRegex(self.solver.result(number)["text"], "exit code: 9")

    def test_a_failure_of_a_build_that_has_ended_is_for_nobody(self):
        """What the step had of that build may be why it failed."""
        step = f"FROM base\nRUN {CACHE} echo x >> /talk/count; echo begun; {WAIT}; test $(wc -l < /talk/count) = 2\n"
        first = self.start(step)
        self.solver.wait_state(first, "RUN", "log: begun")
        second = self.start(step)
        self.solver.wait_state(second, "RUN", "log: begun")
        self.solver.send(op="cancel", id=first)
        self.solver.wait_state(first, "RUN", "failed: CANCELED")
        self.go()
        self.assertIn("done", self.solver.result(second))
        self.assertEqual("CANCELLED", self.solver.result(first)["failed"])

    def test_who_wants_to_look_at_a_failure_makes_it_himself(self):
        step = f"FROM base\nRUN {CACHE} echo x >> /talk/count; echo begun; {WAIT}; exit 9\n"
        first = self.start(step)
        self.solver.wait_state(first, "RUN", "log: begun")
        second = self.start(step, keep_failed=True)
        self.solver.wait_state(second, "RUN", "log: begun")
        self.go()
        for number in (first, second):
            self.assertRegex(self.solver.result(number)["text"], "exit code: 9")
        self.assertEqual("x\nx\n", self.count())

    def test_without_the_cache_nothing_is_shared(self):
        first = self.start(self.STEP)
        self.solver.wait_state(first, "RUN", "log: begun")
        second = self.start(self.STEP, no_cache=True)
        self.solver.wait_state(second, "RUN", "log: begun")
        self.go()
        self.solver.result(first), self.solver.result(second)
        self.assertEqual("x\nx\n", self.count())
