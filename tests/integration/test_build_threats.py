"""What a build may not do: let a secret out, leave something behind when it is cancelled,
take the daemon down or touch anything else by a context that lies."""

import glob
import io
import os
import queue
import signal
import socket
import stat
import tarfile

from buildclient import Directory, Entry
from buildcorpus import steps_of
from buildworld import BuildCase, cgroups_with, ended, mounts_with, pidfds
from rpc import pb

SECRET = "a-secret-that-nobody-may-see-4711"


def name_of(pid):
    return os.path.basename(os.readlink(f"/proc/{pid}/exe"))


class Secrets(BuildCase):
    STEPS = """FROM localhost/base
RUN --mount=type=secret,id=s case $(cat /run/secrets/s) in a-secret-*) ;; *) exit 1;; esac
RUN --mount=type=secret,id=s,target=/etc/s,mode=0444 --mount=type=secret,id=e,env=TOKEN test ${#TOKEN} -gt 20 && cp /etc/s /dev/shm/copy
RUN --mount=type=secret,id=s --mount=type=cache,target=/c ls -l /run/secrets > /seen
RUN --mount=type=secret,id=s test ! -e /etc/s
"""

    def found(self, directory, secret):
        """Files below the directory that have the secret."""
        wanted, found = secret.encode(), []
        for path, _, names in os.walk(directory):
            for name in names:
                file = os.path.join(path, name)
                if stat.S_ISREG(os.lstat(file).st_mode):
                    with open(file, "rb") as content:
                        if wanted in content.read():
                            found.append(file)
        return found

    def options(self):
        with open(self.path("secret"), "w", encoding="ascii") as file:
            file.write(SECRET)
        return ["--secret", f"id=s,src={self.path('secret')}", "--secret", "id=e,env=OF_CLIENT"]

    def test_a_secret_is_in_nothing_that_stays(self):
        options, environment = self.options(), {"OF_CLIENT": SECRET[::-1]}
        said = self.build(self.context(self.STEPS), "-t", "secret", *options, environment=environment)
        failed = self.build(self.context(self.STEPS + "RUN --mount=type=secret,id=s false\n"), *options, check=False, environment=environment)
        self.assertEqual(1, failed.returncode)
        saved = self.path("saved.tar")
        self.daemon_.ctl("save", "-o", saved, "secret")
        texts = [said.log, said.stdout_text, failed.log, self.daemon_.log]
        texts += [self.daemon_.ctl(*words).stdout for words in (("history", "--no-trunc", "secret"), ("inspect", "secret"), ("build", "history", "ls"), ("build", "cache", "ls"))]
        for secret in (SECRET, SECRET[::-1]):
            self.assertEqual([], [text for text in texts if secret in text])
            self.assertEqual([], self.found(self.daemon_.root, secret))
            with open(saved, "rb") as file:
                self.assertNotIn(secret.encode(), file.read())
        self.daemon_.stop()
        self.assertEqual([], self.found(self.daemon_.root, SECRET))

    def test_what_is_in_a_url_is_not_shown(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            host = f"127.0.0.1:{server.getsockname()[1]}"
        said = [self.build(f"http://someone:{SECRET}@{host}/{path}", check=False).log for path in ("context.tar", "r.git#ref:dir")]
        self.assertIn(f"[internal] load git source http://xxxxx:xxxxx@{host}/r.git#ref:dir", said[1])
        said += [self.daemon_.ctl("build", "history", *words).stdout for words in (["ls", "--no-trunc"], ["inspect"], ["logs"], ["inspect", "^1"])]
        self.assertEqual([], [text for text in said if SECRET in text])
        self.assertEqual([], self.found(self.daemon_.root, SECRET))

    def test_another_secret_is_the_same_step(self):
        context = self.context(self.STEPS)
        self.build(context, *self.options(), environment={"OF_CLIENT": SECRET})
        with open(self.path("secret"), "w", encoding="ascii") as file:
            file.write("a-secret-of-other-value")
        options = ["--secret", f"id=s,src={self.path('secret')}", "--secret", "id=e,env=OF_CLIENT"]
        states = steps_of(self.build(context, *options, environment={"OF_CLIENT": "x" * 30}).log)
        self.assertEqual({True}, {state for name, state in states.items() if "RUN --mount" in name})


class Cancel(BuildCase):
    """However a build is given up, nothing of it stays, and the next one works."""

    def sleeping(self, marker, *options):
        context = self.context(
            "FROM localhost/base\nRUN --mount=type=cache,target=/c --mount=target=/ctx trap '' TERM INT HUP; "
            f"(trap '' TERM INT HUP; setsid sleep {marker}) & echo it-is-ready; sleep {marker}\n"
        )
        process = self.start(context, *options)
        self.wait_line(process, " it-is-ready")
        self.wait_until(lambda: len(pidfds_of(marker)) >= 2, "both sleep")
        return process, pidfds(f"sleep\0{marker}")

    def nothing_left(self, fds):
        self.assertTrue(ended(fds), "a process lives on")
        self.wait_until(lambda: not [line for line in mounts_with(self.daemon_.root) if "/build" in line and "overlay" in line], "no mount of a step stays")
        self.wait_until(lambda: not [path for path in cgroups_with(self.parent) if os.path.basename(path) != self.parent], "no cgroup stays")
        self.assertEqual(0, self.build(self.context("FROM localhost/base\nRUN echo next\n")).returncode)

    def test_interrupt(self):
        process, fds = self.sleeping(f"3{os.getpid()}1")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertNotEqual(0, process.returncode)
        self.nothing_left(fds)

    def test_a_client_that_is_killed(self):
        process, fds = self.sleeping(f"3{os.getpid()}2")
        process.kill()
        process.communicate()
        self.nothing_left(fds)

    def test_a_daemon_that_is_stopped(self):
        process, fds = self.sleeping(f"3{os.getpid()}3")
        self.assertEqual(0, self.daemon_.stop())
        said = process.communicate(timeout=60)[1]
        self.assertNotEqual(0, process.returncode)
        self.assertIn("the service is shutting down", said)
        self.daemon_.start()
        [record] = self.daemon_.client().ListBuilds().builds
        self.assertEqual(pb.BuildInfo.STATE_CANCELED, record.state, "it was ended at once, and not as a call that took too long")
        self.nothing_left(fds)

    def test_of_two_builds_of_one_step_the_other_goes_on(self):
        context = self.context("FROM localhost/base\nRUN --mount=type=secret,id=x echo it-is-ready; sleep 1; echo shared > /shared\n")
        first = self.start(context, "-t", "first")
        self.wait_line(first, " it-is-ready")
        second = self.start(context, "-t", "second")
        self.wait_line(second, "RUN --mount")
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=60)
        second.stdout_text, second.log = second.communicate(timeout=60)
        self.assertEqual(0, second.returncode, second.log)
        self.assertEqual(b"shared\n", self.image("second").tree["/shared"].data)


class Cgroups(BuildCase):
    STEP = "FROM localhost/base\nRUN echo a-step\n"

    def supervisors(self):
        tasks = glob.glob(f"/proc/{self.daemon_.pid}/task/*/children")
        return [pid for task in tasks for pid in map(int, open(task, encoding="ascii").read().split()) if name_of(pid) == "imaged-run"]

    def test_a_parent_that_the_client_asks_for(self):
        for parent in (f"{self.parent}-own", f"/{self.parent}-own/inner"):
            self.build(self.context(self.STEP), "--no-cache", "--cgroup-parent", parent)
            self.assertEqual([], cgroups_with(f"{self.parent}-own"), "a cgroup of the build stays")

    def test_a_parent_that_the_client_asks_for_after_a_kill(self):
        """Both at once, or the step's supervisor would still remove it."""
        process = self.start(self.context("FROM localhost/base\nRUN echo it-is'-'ready; sleep 1000\n"), "--cgroup-parent", f"{self.parent}-own/inner")
        self.wait_line(process, " it-is-ready")
        [supervisor] = self.supervisors()
        os.kill(self.daemon_.pid, signal.SIGSTOP)
        os.kill(supervisor, signal.SIGKILL)
        self.daemon_.kill()
        process.communicate(timeout=60)
        self.assertNotEqual([], cgroups_with(f"{self.parent}-own"), "the kill left nothing: this test does not show the sweep")
        self.daemon_.start()
        self.wait_until(lambda: not cgroups_with(f"{self.parent}-own"), "the cgroup is swept")

    def test_a_parent_that_was_there_before(self):
        root = "/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"
        if not os.path.exists(os.path.join(root, "cgroup.procs")):
            self.skipTest("cgroup v2 is not mounted in a usual place")
        os.mkdir(os.path.join(root, f"{self.parent}-own"))
        self.build(self.context(self.STEP), "--no-cache", "--cgroup-parent", f"{self.parent}-own/inner")
        self.assertEqual([os.path.join(root, f"{self.parent}-own")], cgroups_with(f"{self.parent}-own"))

    def test_no_parent_leads_out_of_the_cgroups(self):
        astray = self.path("astray")
        for parent in ("../../../../.." + astray, "a/../../../../../.." + astray):
            failed = self.build(self.context(self.STEP), "--no-cache", "--cgroup-parent", parent, check=False)
            self.assertEqual(1, failed.returncode)
            self.assertIn("is no name of a cgroup", failed.log)
        self.assertFalse(os.path.exists(astray))


def pidfds_of(marker):
    fds = pidfds(f"sleep\0{marker}")
    for fd in fds:
        os.close(fd)
    return fds


def run_lying(client, context, dockerfile, timeout=60):
    """The events of a build by a client that answers what `context` says."""
    requests = queue.Queue()
    start = pb.BuildStart(dockerfile=dockerfile.encode(), dockerfile_name="Dockerfile")
    start.context.CopyFrom(context.context())
    requests.put(pb.BuildRequest(start=start))
    events = []
    try:
        for event in client.Build(request=iter(requests.get, None), timeout=timeout):
            events.append(event)
            for request in context.answer(event):
                requests.put(request)
    finally:
        requests.put(None)
    return events


ALL = "FROM localhost/base\nCOPY . /c/\n"


class Contexts(BuildCase):
    """Clients that lie are refused, the daemon goes on, and the rest of the machine is as it was."""

    def refused(self, tree, dockerfile=ALL):
        client = self.daemon_.client()
        self.assert_rpc_fails("INVALID_ARGUMENT", None, lambda: run_lying(client, Directory("liar", tree), dockerfile))
        self.assertIn("Server:", self.daemon_.ctl("version").stdout)

    def test_names_that_lead_out(self):
        for name in ("../x", "a/../../x", "/etc/x", "a//x", "./x", "a/.", "", "a\0b"):
            with self.subTest(name=name):
                self.refused({name: b"x"})
        self.assertFalse(os.path.exists(os.path.join(self.daemon_.root, "x")))

    def test_a_file_below_a_link(self):
        self.refused({"l": "/etc", "l/x": b"x"})

    def test_a_source_of_the_dockerfile_that_leads_out(self):
        marker = self.path("outside")
        with open(marker, "w", encoding="ascii") as file:
            file.write("of the host")
        for source in ("link", "dir/link", "../../../../../../.." + marker, "/etc/../.." + marker):
            with self.subTest(source=source):
                tree = {"link": marker, "dir": None, "dir/link": "../../../../../../../.." + marker}
                client = self.daemon_.client()
                error = None
                try:
                    run_lying(client, Directory("liar", tree), f"FROM localhost/base\nCOPY {source} /x\n")
                except Exception as caught:  # noqa: BLE001
                    error = caught
                self.assertIn("not found", str(error))

    def test_devices_of_a_context_are_those_of_the_image_alone(self):
        tree = {"null": Entry(mode=stat.S_IFCHR | 0o666, device=(1 << 32) | 3), "fifo": Entry(mode=stat.S_IFIFO | 0o600), "s": Entry(b"x", mode=stat.S_IFREG | 0o6755)}
        run_lying(self.daemon_.client(), Directory("devices", tree), ALL)
        self.refused({"socket": Entry(mode=stat.S_IFSOCK | 0o600)})

    def test_bytes_that_nobody_asked_for(self):
        class Eager(Directory):
            def answer(self, event):
                yield from super().answer(event)
                if event.WhichOneof("event") == "want_files":
                    yield pb.BuildRequest(data=pb.ContextData(pieces=[pb.FilePiece(file=9999, data=b"x")]))

        client = self.daemon_.client()
        self.assert_rpc_fails("INVALID_ARGUMENT", None, lambda: run_lying(client, Eager("eager", {"a": b"x" * 100}), ALL))

    def test_dockerfiles_that_are_nothing(self):
        client = self.daemon_.client()
        for text in ("", "\0", "FROM", "FROM " + "x" * 100_000, "RUN x", "FROM a AS b\n" * 5000, "FROM scratch\n" + "ARG A=${A:-$A}\n" * 3000 + "RUN $A"):
            with self.subTest(text=text[:30]):
                with self.assertRaises(Exception):
                    run_lying(client, Directory("none", {}), text)
        self.assertEqual(0, self.build(self.context("FROM localhost/base\nRUN true\n")).returncode)

    def test_a_root_that_is_a_trap(self):
        """Links of an image are followed within it, for every path that a build opens."""
        marker = self.path("trap")
        os.mkdir(marker)
        out = "../../../../../../../../../.." + marker
        steps = f"""FROM localhost/base
RUN ln -s {out} /out && rm -rf /etc /w && ln -s {out} /etc && ln -s {out} /w && mkdir -p {marker}
WORKDIR /out/a
WORKDIR /w/b
COPY f /out/c
COPY f /out/d/e
ADD t.tar /out/t
RUN --mount=type=cache,target=/out/cache --mount=type=tmpfs,target=/w/tmp --mount=target=/out/ctx true
USER root
COPY --chown=root f /w/owned
"""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            link = tarfile.TarInfo("l")
            link.type, link.linkname = tarfile.SYMTYPE, out
            tar.addfile(link)
            file = tarfile.TarInfo("l/of-archive")
            tar.addfile(file, io.BytesIO(b""))
            up = tarfile.TarInfo("../../../../../../.." + marker + "/up")
            tar.addfile(up, io.BytesIO(b""))
        self.build(self.context(steps, {"f": "f", "t.tar": archive.getvalue()}), check=False)
        self.build(self.context(steps.replace("ADD t.tar /out/t\n", ""), {"f": "f"}), check=False)
        self.assertEqual([], os.listdir(marker))
