"""One RUN step: what it sees, what it may do, how it ends, and that nothing of it stays."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import tarfile
import unittest

import erofs
from harness import SLOW
from runstep import RUN_STEP, RUNC, Running, StepCase, processes

SECRET = "s3cr3t-value-of-a-test"


def image_of(directory):
    """An EROFS image of a layer that an overlay's upper directory is."""
    tar, image = f"{directory}.tar", f"{directory}.image"
    gone = [os.path.join(f, n) for f, _, names in os.walk(directory) for n in names if is_whiteout(os.path.join(f, n))]
    for path in gone:
        os.remove(path)
        with open(os.path.join(os.path.dirname(path), ".wh." + os.path.basename(path)), "w", encoding="ascii"):
            pass
    subprocess.run(["tar", "--xattrs", "-cf", tar, "-C", directory, "."], check=True)
    erofs.convert(tar, image)
    os.chmod(image, 0o644)
    return image


def is_whiteout(path):
    found = os.lstat(path)
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Process(StepCase):
    def test_arguments_environment_and_directory(self):
        out = self.ok(["/bin/sh", "-c", 'printf "%s|" "$0" "$@"; pwd; env', "a b", "*", "$HOME"], env=["X=1 2", "E="], cwd="/new/dir")
        lines = out.splitlines()
        self.assertEqual("a b|*|$HOME|/new/dir", lines[0])
        for wanted in ("X=1 2", "E=", "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"):
            self.assertIn(wanted, lines)
        for name in ("HOSTNAME", "TERM"):
            self.assertNotIn(f"\n{name}=", out)

    def test_variables_of_the_image_win(self):
        lines = self.ok(["/bin/env"], env=["PATH=/bin", "HOME=/h"]).splitlines()
        self.assertEqual(["PATH=/bin", "HOME=/h"], lines)

    def test_users_and_groups(self):
        ids = 'echo "$(id -u) $(id -g) $(id -G) $HOME"'
        for user, wanted in (
            (None, "0 0 0 /root"),
            ("", "0 0 0 /root"),
            ("bob", "1000 1000 1000 10 29 /home/bob"),
            ("1000", "1000 1000 1000 10 29 /home/bob"),
            ("bob:staff", "1000 50 50 /home/bob"),
            ("bob:7", "1000 7 7 /home/bob"),
            ("1234", "1234 0 0 /"),
            ("1234:audio", "1234 29 29 /"),
            ("daemon", "2 2 2 /"),
            (":50", "0 50 50 /root"),
        ):
            with self.subTest(user=user):
                fields = {} if user is None else {"user": user}
                self.assertEqual(wanted, self.ok(ids, **fields).strip())

    def test_users_that_are_not_there(self):
        self.refused("INVALID_ARGUMENT", "unable to find user nobody: no matching entries in passwd file", user="nobody")
        self.refused("INVALID_ARGUMENT", "unable to find group nogroup: no matching", user="bob:nogroup")
        self.refused("INVALID_ARGUMENT", "must be in range 0-2147483647", user="4294967296")

    def test_accounts_are_read_within_the_root(self):
        os.remove(os.path.join(self.root, "etc/passwd"))
        with open(self.path("passwd"), "w", encoding="ascii") as file:
            file.write("nobody:x:1:1:::\n")
        os.symlink("../../../../../../.." + self.path("passwd"), os.path.join(self.root, "etc/passwd"))
        self.refused("INVALID_ARGUMENT", "unable to find user nobody", user="nobody")
        os.remove(os.path.join(self.root, "etc/passwd"))
        os.mkfifo(os.path.join(self.root, "etc/passwd"))
        self.refused("INVALID_ARGUMENT", "unable to find user nobody", user="nobody")

    def test_host_names(self):
        self.assertEqual("buildkitsandbox", self.ok("hostname").strip())
        self.assertEqual("other", self.ok("hostname", hostname="other").strip())
        hosts = self.ok("cat /etc/hosts", hosts=["db:10.1.2.3", "six:[::2]"])
        self.assertEqual(
            "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n10.1.2.3\tdb\n::2\tsix\n", hosts
        )
        self.refused("INVALID_ARGUMENT", "invalid IP address in add-host", hosts=["db:nonsense"])
        self.refused("INVALID_ARGUMENT", "bad format for add-host", hosts=["a b:10.0.0.1"])
        self.refused("INVALID_ARGUMENT", "host name", hostname="a\nb")

    def test_input_is_empty(self):
        self.assertEqual("", self.ok("cat"))

    def test_the_daemons_umask_is_its_own(self):
        before = os.umask(0o077)
        try:
            spec = self.spec("umask; stat -c %a /new /etc/hosts", cwd="/new")
            running = Running(self, spec)
        finally:
            os.umask(before)
        self.assertEqual(0, running.wait()["exit_code"])
        self.assertEqual(["0022", "755", "644"], running.out.decode().split())

    def test_no_descriptor_of_ours_reaches_it(self):
        self.assertEqual(["0", "1", "2"], sorted(set(self.ok("ls /proc/self/fd").split()) - {"3"}))


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Ends(StepCase):
    def test_exit_codes(self):
        for code in (0, 1, 2, 42, 126, 127, 128, 255):
            said = self.run_step(f"exit {code}")
            self.assertEqual(code, said["exit_code"])
            self.assertEqual("", said["message"])
        self.assertEqual(
            'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3', self.run_step("exit 3")["failure"]
        )

    def test_a_signal_is_128_more(self):
        # The first process of a PID namespace does not die of its own signals; its child does.
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
            said = self.run_step(f'sh -c "kill -{int(number)} \\$\\$"; exit $?')
            self.assertEqual((128 + number, number), (said["exit_code"], said["signal"]))

    def test_a_command_that_cannot_be_started(self):
        with open(os.path.join(self.root, "plain"), "w", encoding="ascii") as file:
            file.write("no program\n")
        for args, code, text in (
            (["nope"], 127, "not found"),
            (["/no/such"], 127, "o such file"),
            (["/plain"], 126, "."),
            (["/etc"], 126, "."),
        ):
            with self.subTest(args=args):
                said = self.run_step(args)
                self.assertEqual(code, said["exit_code"], said)
                self.assertRegex(said["message"], text)
                self.assertIn(f"exit code: {code}", said["failure"])

    def test_the_path_is_the_containers(self):
        self.assertEqual("hi\n", self.ok(["echo", "hi"]))
        self.assertEqual(127, self.run_step(["echo", "hi"], env=["PATH=/nowhere"])["exit_code"])

    def test_processes_that_are_left_end_with_it(self):
        marker = f"7{os.getpid()}11"
        self.ok(f"sleep {marker} & sleep {marker} & true")
        self.assertEqual([], processes(f"sleep\0{marker}"))

    def test_streams_stay_apart_and_whole(self):
        said = self.run_step("for i in 1 2 3; do echo out$i; echo err$i >&2; done")
        self.assertEqual(("out1\nout2\nout3\n", "err1\nerr2\nerr3\n", 0), (self.out, self.err, said["exit_code"]))

    def test_100_mb_of_output(self):
        running = self.start("dd if=/dev/zero bs=64k count=1600 2>/dev/null; printf end >&2")
        said = running.wait()
        self.assertEqual((0, 1600 * 65536, b"end"), (said["exit_code"], len(running.out), running.err))

    def peak_memory(self, running):
        with open(f"/proc/{running.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))

    def test_a_flood_does_not_grow_memory(self):
        running = self.start("echo ready; dd if=/dev/zero bs=64k count=3200 2>/dev/null; echo end >&2; sleep 1000")
        self.assertEqual(b"ready\n", running.process.stdout.readline())
        before, left = self.peak_memory(running), 3200 * 65536
        while left:
            left -= len(running.process.stdout.read1(left))
        self.assertEqual(b"end\n", running.process.stderr.readline())
        self.assertLess(self.peak_memory(running) - before, 4 << 20)
        running.process.send_signal(signal.SIGTERM)
        self.assertEqual("CANCELLED", running.wait()["failed"])

    def test_output_comes_while_it_runs(self):
        running = self.start("echo ready; cat")
        self.assertEqual(b"ready\n", running.process.stdout.readline())
        running.wait()

    def test_a_reader_that_goes_away_ends_the_step(self):
        running = self.start("echo ready; while :; do echo more || exit 9; done")
        self.assertEqual(b"ready\n", running.process.stdout.readline())
        running.process.stdout.close()
        running.process.stdout = None
        self.assertNotIn("exit_code", running.wait())


def pidfds(pids):
    found = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            found.append(os.pidfd_open(pid))
    return found


def wait_ends(fds, timeout=30):
    """Until each process has ended; False when one does not."""
    for fd in fds:
        if not select.select([fd], [], [], timeout * SLOW)[0]:
            return False
        os.close(fd)
    return True


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Kills(StepCase):
    """However it ends, no process, no mount, no cgroup stays (StepCase looks)."""

    def start_sleep(self, **fields):
        """A step that sleeps and has children that refuse to die; with pidfds of all its processes."""
        self.marker = f"1{os.getpid()}{self.steps}77"
        command = f"trap '' TERM INT HUP; (trap '' TERM INT HUP; setsid sleep {self.marker}) & echo ready; sleep {self.marker}"
        running = self.start(command, **fields)
        self.assertEqual(b"ready\n", running.process.stdout.readline())
        self.wait_until(lambda: len(processes(f"sleep\0{self.marker}")) >= 2, "both sleep")
        return running, pidfds(processes(f"sleep\0{self.marker}"))

    def supervisor(self, running):
        with open(f"/proc/{running.process.pid}/task/{running.process.pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])

    def test_cancel(self):
        running, fds = self.start_sleep()
        running.process.send_signal(signal.SIGTERM)
        self.assertEqual("CANCELLED", running.wait()["failed"])
        self.assertTrue(wait_ends(fds, 0))

    def test_cancel_while_it_floods(self):
        running = self.start("echo ready; yes")
        self.assertEqual(b"ready\n", running.process.stdout.readline())
        running.process.send_signal(signal.SIGTERM)
        self.assertEqual("CANCELLED", running.wait()["failed"])

    def test_kill_of_the_daemon(self):
        running, fds = self.start_sleep()
        fds += pidfds([self.supervisor(running)])
        running.process.kill()
        self.assertTrue(wait_ends(fds), "a process outlives its daemon")
        running.process.communicate()

    def test_kill_of_the_supervisor(self):
        running, fds = self.start_sleep()
        os.kill(self.supervisor(running), signal.SIGKILL)
        said = running.wait()
        self.assertEqual("WORKER_FAILED", said["failed"])
        self.assertIn("imaged-run was killed by SIGKILL", said["text"])
        self.assertTrue(wait_ends(fds, 0))

    def test_kill_of_both_leaves_a_cgroup_that_is_swept(self):
        running, fds = self.start_sleep(parent="imaged-test-sweep")
        supervisor = self.supervisor(running)
        fds += pidfds([supervisor])
        os.kill(running.process.pid, signal.SIGSTOP)
        os.kill(supervisor, signal.SIGKILL)
        running.process.kill()
        self.assertTrue(wait_ends(fds))
        running.process.communicate()
        sweep = Running(self, self.spec("true", parent="imaged-test-sweep"))
        sweep.wait()
        self.assertEqual('{"removed":1}\n', self.sweep(parent="imaged-test-sweep"))
        for place in self.cgroups():
            base = os.path.join(os.path.dirname(place), "imaged-test-sweep")
            if os.path.isdir(base):
                os.rmdir(base)  # it is empty

    def sweep(self, **fields):
        return subprocess.run(
            [RUN_STEP, "-sweep", self.spec("true", **fields)],
            env={**os.environ, "RUN_STEP_PROGRAM": self.worker, "RUN_STEP_RESULT": "1"},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def test_a_parent_of_cgroups_leads_nowhere_else(self):
        for parent in ("..", "../../../tmp/imaged-test-astray", "a/../../b", "/imaged-test-astray", "a//b", "a/", "x" * 256):
            self.refused("INVALID_ARGUMENT", "is no name of a cgroup", parent=parent)
        self.assertFalse(os.path.exists("/tmp/imaged-test-astray"))

    def test_a_step_that_goes_on_is_not_swept(self):
        running, _ = self.start_sleep(parent="imaged-test-alive", limits={"pids": 50})
        self.assertEqual('{"removed":0}\n', self.sweep(parent="imaged-test-alive"))
        # Nor is its name taken from it.
        self.refused("CONFLICT", "another step has it", parent="imaged-test-alive", id=f"{self.prefix}1")
        self.assertGreaterEqual(len(processes(f"sleep\0{self.marker}")), 2)
        running.process.send_signal(signal.SIGTERM)
        self.assertEqual("CANCELLED", running.wait()["failed"])
        for place in self.cgroups():
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(os.path.join(os.path.dirname(place), "imaged-test-alive"))

    def test_kill_of_the_runtime(self):
        running, fds = self.start_sleep()
        init = self.children(self.supervisor(running))[0]
        os.kill(self.children(init)[0], signal.SIGKILL)
        said = running.wait()
        self.assertEqual(137, said["exit_code"], said)
        self.assertTrue(wait_ends(fds, 5))

    def children(self, pid):
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]

    def test_kill_of_its_first_process(self):
        running, fds = self.start_sleep()
        os.kill(self.children(self.supervisor(running))[0], signal.SIGKILL)
        self.assertEqual("WORKER_FAILED", running.wait()["failed"])
        self.assertTrue(wait_ends(fds, 0))


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Mounts(StepCase):
    def mount(self, type, target, **fields):
        return {"type": type, "target": target, **fields}

    def source(self, name="source"):
        os.makedirs(self.path(name, "sub"))
        for path, text in (("f", "one"), ("sub/g", "two")):
            with open(self.path(name, path), "w", encoding="ascii") as file:
                file.write(text)
        return self.path(name)

    def test_bind_is_read_only(self):
        mounts = [self.mount("bind", "/in", source=self.source())]
        self.assertEqual("one two", self.ok("cat /in/f; printf ' '; cat /in/sub/g", mounts=mounts))
        self.assertNotEqual(0, self.run_step("echo x > /in/f", mounts=mounts)["exit_code"])
        self.assertIn("Read-only", self.err)

    def test_writes_to_a_bind_are_thrown_away(self):
        source = self.source()
        mounts = [self.mount("bind", "/in", source=source, rw=True)]
        self.assertEqual("new", self.ok("printf new > /in/f; rm -r /in/sub; cat /in/f; ls /in/sub 2>/dev/null || true", mounts=mounts))
        with open(os.path.join(source, "f"), encoding="ascii") as file:
            self.assertEqual("one", file.read())
        self.assertTrue(os.path.exists(os.path.join(source, "sub/g")))

    def test_bind_of_a_file(self):
        source = os.path.join(self.source(), "f")
        self.assertEqual("one", self.ok("cat /x/y", mounts=[self.mount("bind", "/x/y", source=source)]))
        self.assertEqual("two", self.ok("printf two > /x; cat /x", mounts=[self.mount("bind", "/x", source=source, rw=True)]))
        with open(source, encoding="ascii") as file:
            self.assertEqual("one", file.read())

    def test_a_cache_keeps_what_is_written(self):
        os.mkdir(self.path("cache"))
        mounts = [self.mount("cache", "/root/.cache", source=self.path("cache"), rw=True)]
        self.ok("echo kept > /root/.cache/f", mounts=mounts)
        self.assertEqual("kept\n", self.ok("cat /root/.cache/f", mounts=mounts))
        self.assertEqual([], self.members())

    def members(self):
        with tarfile.open(self.layer()) as tar:
            return tar.getnames()

    def test_a_mount_takes_the_place_of_a_usual_one(self):
        mounts = [self.mount("tmpfs", "/dev/shm", size=1 << 20)]
        self.assertEqual("1\n", self.ok("grep -c ' /dev/shm ' /proc/mounts", mounts=mounts))

    def test_tmpfs_has_its_size(self):
        mounts = [self.mount("tmpfs", "/t", size=1 << 20)]
        said = self.run_step("stat -f -c '%b %S' /t; dd if=/dev/zero of=/t/f bs=64k count=32 2>&1", mounts=mounts)
        blocks, size = map(int, self.out.split()[:2])
        self.assertEqual(1 << 20, blocks * size)
        self.assertNotEqual(0, said["exit_code"])
        self.ok("touch /t/f; test $(stat -c %a /t) = 1777", mounts=[self.mount("tmpfs", "/t")])

    def test_a_secret_is_there_and_nowhere_else(self):
        mounts = [self.mount("file", "/run/secrets/token", content=SECRET, mode=0o400, uid=1000, gid=50)]
        out = self.ok("cat /run/secrets/token; stat -c ' %a %u %g' /run/secrets/token", user="bob", mounts=mounts)
        self.assertEqual(f"{SECRET} 400 1000 50\n", out)
        self.assertEqual(1, self.run_step("cat /run/secrets/token", user="eve", mounts=mounts)["exit_code"])
        self.ok("echo other > /f", mounts=mounts)
        with open(self.layer(), "rb") as file:
            self.assertNotIn(SECRET.encode(), file.read())
        self.assertEqual(["f"], self.members())
        for folder, _, names in os.walk(self.step_directory):
            for name in names:
                if os.path.isfile(os.path.join(folder, name)):
                    with open(os.path.join(folder, name), "rb") as file:
                        self.assertNotIn(SECRET.encode(), file.read())

    def test_a_script_is_executed(self):
        mounts = [self.mount("file", "/dev/pipes/EOF", content="#!/bin/sh\necho from a script\n", mode=0o755)]
        self.assertEqual("from a script\n", self.ok(["/dev/pipes/EOF"], mounts=mounts))

    def test_an_agent_socket_is_reached(self):
        path = self.path("agent")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            mounts = [self.mount("socket", "/run/buildkit/ssh_agent.0", source=path)]
            mounts.append(self.mount("bind", "/host", source="/"))
            libraries = "/host/lib/x86_64-linux-gnu:/host/usr/lib/x86_64-linux-gnu"
            python = f"PYTHONHOME=/host/usr /host/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --library-path {libraries} /host/usr/bin/python3"
            code = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/buildkit/ssh_agent.0'); print(s.recv(9).decode(), end='')"
            running = self.start(f'{python} -c "{code}"', mounts=mounts)
            listener.settimeout(50 * SLOW)
            connection, _ = listener.accept()
            connection.sendall(b"hello")
            connection.close()
            self.assertEqual(0, running.wait()["exit_code"], running.err)
            self.assertEqual(b"hello", running.out)

    def test_mounts_within_each_other(self):
        os.mkdir(self.path("cache"))
        mounts = [
            self.mount("file", "/w/a/s", content="deep", mode=0o444),
            self.mount("cache", "/w/a", source=self.path("cache"), rw=True),
            self.mount("tmpfs", "/w"),
        ]
        self.assertEqual("deep", self.ok("cat /w/a/s", mounts=mounts))
        self.assertEqual([], self.members())

    def test_targets_that_go_through_links(self):
        os.symlink("../../../../usr", os.path.join(self.root, "up"))
        os.symlink("/gone/far", os.path.join(self.root, "dangling"))
        os.mkdir(self.path("outside"))
        mounts = [self.mount("file", target, content="x", mode=0o444) for target in ("/up/s", "/dangling/s")]
        self.assertEqual("xx", self.ok("cat /usr/s /gone/far/s", mounts=mounts))
        self.assertEqual([], self.members())
        self.refused("INVALID_ARGUMENT", "no directory", mounts=[self.mount("tmpfs", "/etc/passwd/x")])
        self.refused("INVALID_ARGUMENT", "invalid mount target", mounts=[self.mount("tmpfs", "/")])

    def test_resolv_conf_may_be_a_dangling_link(self):
        os.symlink("../run/systemd/resolve/stub-resolv.conf", os.path.join(self.root, "etc/resolv.conf"))
        self.ok("test -s /etc/resolv.conf", network="host")
        self.assertEqual([], self.members())

    def test_mount_points_leave_no_trace(self):
        mounts = [self.mount("tmpfs", "/a/b/c"), self.mount("file", "/etc/x/y", content="1", mode=0o400)]
        self.ok("true", mounts=mounts)
        self.assertEqual([], self.members())
        self.ok("mkdir -p /a/b/d; echo 1 > /etc/own", mounts=mounts)
        self.assertEqual(["a", "a/b", "a/b/d", "etc", "etc/own"], self.members())
        self.ok("echo >> /etc/group", mounts=mounts)
        with tarfile.open(self.layer()) as tar:
            self.assertEqual(1_600_000_000, tar.getmember("etc").mtime, "it has the time of the stubs")


class TreeMounts:
    """Parts of a stage or an image as what RUN --mount shows; with directories or images as layers."""

    def tree(self, *parts):
        """Layers, the uppermost first, each of commands."""
        layers = []
        for n, script in enumerate(parts):
            layer = self.path(f"tree{len(os.listdir(self.dir))}.{n}")
            os.mkdir(layer)
            subprocess.run(["sh", "-ec", script], cwd=layer, check=True)
            layers.append(self.as_layer(layer))
        return layers

    def bind(self, target, path, layers, **fields):
        return {"type": "bind", "target": target, "path": path, "layers": layers, **fields}

    def cache(self, target, path, layers, **fields):
        cache = self.path(f"cache{len(os.listdir(self.dir))}")
        os.mkdir(cache)
        if self.owner:
            os.chown(cache, self.owner, self.owner)
        return cache, {"type": "cache", "target": target, "source": cache, "path": path, "layers": layers, "rw": True, "fill": True, **fields}

    def test_part_of_a_tree(self):
        layers = self.tree("mkdir -p d/e; echo upper > d/f; mknod d/gone c 0 0", "mkdir d; echo lower > d/f; echo below > d/gone; echo kept > d/kept; ln -s /d link")
        self.assertEqual(["e", "f", "kept"], self.ok("ls /in", mounts=[self.bind("/in", "/d", layers)]).split())
        self.assertEqual("upper\nkept\n", self.ok("cat /in/f /in/kept", mounts=[self.bind("/in", "/link", layers)]))
        self.assertEqual("upper\n", self.ok("cat /in", mounts=[self.bind("/in", "/d/f", layers)]))
        self.assertEqual("d\nlink\n", self.ok("ls /in", mounts=[self.bind("/in", "/", layers)]))
        self.assertNotEqual(0, self.run_step("echo x > /in/f", mounts=[self.bind("/in", "/d", layers)])["exit_code"])
        self.assertIn("Read-only", self.err)
        self.assertEqual([], self.members())

    def test_what_a_tree_has_not(self):
        layers = self.tree("mkdir d; ln -s ../../../../etc/passwd out; ln -s self self; echo > d/f")
        for path in ("/nope", "/d/nope", "/out", "/self", "/d/f/x"):
            self.refused("NOT_FOUND", f'"{path}": not found', mounts=[self.bind("/in", path, layers)])

    def test_writes_to_part_of_a_tree_are_thrown_away(self):
        layers = self.tree("mkdir -m 750 d; echo 1 > d/f; echo 2 > g")
        script = "echo new > /in/f; echo new > /in/h; cat /in/f; stat -c %a /in; echo other > /g; cat /g"
        mounts = [self.bind("/in", "/d", layers, rw=True), self.bind("/g", "/g", layers, rw=True)]
        self.assertEqual("new\n750\nother\n", self.ok(script, mounts=mounts))
        mounts = [self.bind("/in", "/d", layers), self.bind("/g", "/g", layers)]
        self.assertEqual("f\n1\n2\n", self.ok("ls /in; cat /in/f /g", mounts=mounts))
        self.assertEqual([], self.members())

    def test_many_mounts_of_the_same_layers(self):
        layers = self.tree("echo top > top", "echo mid > mid", "echo low > low")
        # A layer twice in one tree, and in the root as well.
        mounts = [self.bind(f"/m{i}", "/", [*layers, layers[0]]) for i in range(5)]
        out = self.ok("cat /m*/top /m0/mid /m4/low /top", mounts=mounts, lowers=[layers[0], self.root_layer])
        self.assertEqual(["top"] * 5 + ["mid", "low", "top"], out.split())

    def test_a_tree_of_nothing(self):
        self.assertEqual("", self.ok("ls /in", mounts=[self.bind("/in", "/", [])]))
        self.refused("NOT_FOUND", '"/x": not found', mounts=[self.bind("/in", "/x", [])])

    def test_a_cache_begins_with_part_of_a_tree(self):
        script = "mkdir -p d/e; cd d; echo 1 > f; ln f e/hard; chmod 4751 f; ln -s f link; mkfifo p; chmod 700 e; touch -d @1500000000 f e; setfattr -n user.x -v y f; chmod 3775 ."
        layers = self.tree("mkdir d; echo 2 > d/g", script)
        cache, mount = self.cache("/c", "/d", layers)
        self.assertEqual(["e", "f", "g", "link", "p"], self.ok("ls /c; echo new > /c/new", mounts=[mount]).split())
        at = lambda name: os.lstat(os.path.join(cache, name))
        self.assertEqual(["e", "f", "g", "link", "new", "p"], sorted(os.listdir(cache)))
        self.assertEqual((0o4751, 2, 1_500_000_000), (at("f").st_mode & 0o7777, at("f").st_nlink, int(at("f").st_mtime)))
        self.assertEqual(at("f").st_ino, at("e/hard").st_ino)
        self.assertEqual((0o700, 1_500_000_000), (at("e").st_mode & 0o7777, int(at("e").st_mtime)))
        self.assertEqual((b"y", "f"), (os.getxattr(os.path.join(cache, "f"), "user.x"), os.readlink(os.path.join(cache, "link"))))
        self.assertTrue(stat.S_ISFIFO(at("p").st_mode))
        # The next step takes it as it is.
        self.assertEqual("new\n", self.ok("cat /c/new", mounts=[{**mount, "fill": False}]))
        self.assertEqual([], self.members())

    def test_a_cache_cannot_begin_with_a_file(self):
        layers = self.tree("echo 1 > f")
        self.refused("INVALID_ARGUMENT", "fill the cache mount at '/c': .* no directory", mounts=[self.cache("/c", "/f", layers)[1]])
        self.refused("NOT_FOUND", '"/g": not found', mounts=[self.cache("/c", "/g", layers)[1]])

    def members(self):
        with tarfile.open(self.layer()) as tar:
            return tar.getnames()


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class DirectoryMounts(TreeMounts, StepCase):
    owner = 0

    def setUp(self):
        super().setUp()
        self.root_layer = self.root

    def as_layer(self, directory):
        return directory

    def test_owners_of_what_a_cache_begins_with(self):
        layers = self.tree("mkdir d; chown 7:8 d; echo > d/f; chown 1000:50 d/f; mknod d/null c 1 3")
        cache, mount = self.cache("/c", "/d", layers)
        self.ok("true", mounts=[mount])
        owner = lambda name: (os.lstat(os.path.join(cache, name)).st_uid, os.lstat(os.path.join(cache, name)).st_gid)
        self.assertEqual([(7, 8), (1000, 50)], [owner("."), owner("f")])
        self.assertEqual(os.makedev(1, 3), os.lstat(os.path.join(cache, "null")).st_rdev)

    def test_a_directory_that_is_too_deep(self):
        self.addCleanup(subprocess.run, ["rm", "-rf", self.dir], check=True)
        layers = self.tree("busybox sh -c 'for i in $(seq 1100); do mkdir d; cd d; done'")
        self.refused("LIMIT_EXCEEDED", "more than 1024 directories", mounts=[self.cache("/c", "/", layers)[1]])

    def test_too_many_layers(self):
        layers = self.tree("true")
        self.refused("LIMIT_EXCEEDED", "a mount of 501 layers; at most 500", mounts=[self.bind("/in", "/", layers * 501)])


@unittest.skipUnless(erofs.can_mount(), "erofs cannot be mounted here")
class ImageMounts(TreeMounts, StepCase):
    owner = 0

    def setUp(self):
        super().setUp()
        self.root_layer = self.as_layer(self.root)

    def as_layer(self, directory):
        return image_of(directory)


class ShellMixin:
    """A command with a terminal where a step failed."""

    def shell(self, command=("/bin/sh",), **fields):
        return self.shell_of(self.spec(list(command), **fields))

    def again(self, command=("/bin/sh",), **fields):
        """In the directory of the last step."""
        with open(self.path(f"step{self.steps}.json"), encoding="utf-8") as file:
            described = {**json.load(file), "args": list(command), **fields}
        with open(self.path("again.json"), "w", encoding="utf-8") as file:
            json.dump(described, file)
        return self.shell_of(file.name)

    def type(self, shell, text):
        shell.process.stdin.write(text.encode())
        shell.process.stdin.flush()

    def read_until(self, shell, text):
        """What it wrote up to some text."""
        got = b""
        while text.encode() not in got:
            piece = os.read(shell.process.stdout.fileno(), 4096)
            self.assertTrue(piece, f"the shell ended: {got!r}")
            got += piece
        return got.decode()

    def test_a_shell_has_a_terminal(self):
        shell = self.shell(columns=91, rows=27)
        self.type(shell, "tty; stty size; echo TERM=$TERM; ls -l /proc/$$/fd/0; echo in'put'\n")
        out = self.read_until(shell, "input\r\n")
        for wanted in ("/dev/", "27 91", "TERM=xterm"):
            self.assertIn(wanted, out)
        self.assertNotIn("job control", out)
        self.type(shell, "exit 42\n")
        self.assertEqual(42, shell.wait()["exit_code"])

    def test_the_terminal_gets_a_new_size(self):
        shell = self.shell(["/bin/sh", "-c", 'trap "stty size; exit 5" WINCH; echo ready; while :; do sleep 0.1; done'], columns=80, rows=24)
        self.read_until(shell, "ready")
        shell.process.send_signal(signal.SIGUSR1)
        self.assertIn("40 100", self.read_until(shell, "40 100"))
        self.assertEqual(5, shell.wait()["exit_code"])

    def test_keys_are_signals(self):
        shell = self.shell(["/bin/sh", "-c", 'trap "echo interrupted; exit 6" INT; echo ready; while :; do sleep 0.1; done'])
        self.read_until(shell, "ready")
        self.type(shell, "\x03")
        self.assertEqual(6, shell.wait()["exit_code"])
        self.assertIn(b"interrupted", shell.out)

    def test_the_end_of_what_is_typed(self):
        shell = self.shell()
        self.type(shell, "echo on\'e\'; sh\n")
        shell.process.stdin.close()
        shell.process.stdin = None
        self.assertEqual(0, shell.wait()["exit_code"])
        self.assertIn(b"one\r\n", shell.out)

    def test_where_a_step_failed(self):
        self.assertEqual(3, self.run_step("mkdir -p /left; echo behind > /left/f; rm /bin/ls; cd /left; exit 3", cwd="/home/bob", env=["X=y"])["exit_code"])
        for _ in range(2):
            shell = self.again()
            self.type(shell, "pwd; cat /left/f; echo X=$X; test -e /bin/ls || echo go\'ne\'; exit 0\n")
            self.assertEqual(0, shell.wait()["exit_code"])
            out = shell.out.decode()
            for wanted in ("/home/bob\r\n", "behind\r\n", "X=y\r\n", "gone\r\n"):
                self.assertIn(wanted, out)

    def test_with_the_mounts_of_the_step(self):
        mounts = [
            {"type": "file", "target": "/run/secrets/s", "content": "hidden", "mode": 0o400},
            {"type": "bind", "target": "/in", "path": "/etc", "layers": [self.root], "rw": True},
        ]
        self.assertEqual(1, self.run_step("echo x > /in/new; false", mounts=mounts)["exit_code"])
        shell = self.again()
        self.type(shell, "cat /run/secrets/s; ls /in; exit 9\n")
        self.assertEqual(9, shell.wait()["exit_code"])
        self.assertIn("hidden", shell.out.decode())
        self.assertNotIn("new", shell.out.decode(), "what was thrown away is there")

    def test_a_shell_that_is_not_there(self):
        shell = self.shell(["/bin/nosh"])
        said = shell.wait()
        self.assertEqual(127, said.get("exit_code"), said)

    def test_cancel_of_a_shell(self):
        shell = self.shell()
        self.type(shell, "trap '' HUP TERM; echo rea'dy'\n")
        self.read_until(shell, "ready\r\n")
        shell.process.send_signal(signal.SIGTERM)
        self.assertEqual("CANCELLED", shell.wait()["failed"])

    def test_a_flood_while_nothing_is_typed(self):
        shell = self.shell(["/bin/sh", "-c", "dd if=/dev/zero bs=64k count=100 2>/dev/null; exit 7"])
        self.assertEqual(7, shell.wait()["exit_code"])
        self.assertEqual(6_553_600, len(shell.out))

    def test_the_end_of_what_is_typed_behind_a_full_buffer(self):
        shell = self.shell(["/bin/sh", "-c", "cat >/dev/null; exit 5"], typed_before=True)
        self.type(shell, ("y" * 63 + "\n") * (1 << 14))
        shell.process.stdin.close()
        shell.process.stdin = None
        self.assertEqual(5, shell.wait()["exit_code"])

    def test_more_is_typed_than_is_read(self):
        shell = self.shell(["/bin/sh", "-c", "stty raw; echo ready; sleep 1000"])
        self.read_until(shell, "ready")
        with contextlib.suppress(BrokenPipeError):
            self.type(shell, "x" * (2 << 20))
        self.assertEqual("LIMIT_EXCEEDED", shell.wait()["failed"])


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Shell(ShellMixin, StepCase):
    def shell_of(self, spec):
        return Running(self, spec, mode="-shell")

    def test_another_user(self):
        shell = self.shell(user="bob")
        self.type(shell, "id -u; stat -c %U $(tty); exit 0\n")
        self.assertEqual(0, shell.wait()["exit_code"])
        self.assertIn("1000", shell.out.decode())

    @unittest.skipUnless(RUNC, "runc is not installed")
    def test_a_shell_in_runc(self):
        shell = self.shell(runtime=RUNC)
        self.type(shell, "stty -echo; echo in'put'; exit 8\n")
        self.assertEqual(8, shell.wait()["exit_code"], shell.out)
        self.assertIn(b"input", shell.out)


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Sandbox(StepCase):
    def test_capabilities_are_dockers(self):
        status = self.ok("grep Cap /proc/self/status").split()
        self.assertEqual(["0" * 16, "00000000a80425fb", "00000000a80425fb", "00000000a80425fb", "0" * 16], status[1::2])
        status = self.ok("grep Cap /proc/self/status", user="bob").split()
        self.assertEqual(["0" * 16, "0" * 16, "0" * 16, "00000000a80425fb", "0" * 16], status[1::2])

    def test_system_calls_that_are_refused(self):
        for command in ("mount -t tmpfs t /mnt", "unshare -U true", "unshare -m true", "reboot -f", "swapoff /x", "setarch i386 -R true"):
            with self.subTest(command=command):
                said = self.run_step(f"mkdir -p /mnt; {command}")
                self.assertNotEqual(0, said["exit_code"])
        self.ok("grep -q 'Seccomp:.2' /proc/self/status")

    def test_what_is_hidden(self):
        self.assertEqual("", self.ok("cd /proc; for f in kcore keys timer_list sched_debug acpi scsi; do test ! -e $f || cat $f || ls $f; done"))
        self.assertEqual("", self.ok("ls /sys/firmware"))
        for command in ("echo 1 > /proc/sys/kernel/domainname", "echo h > /proc/sysrq-trigger", "mkdir /sys/x", "mkdir /sys/fs/cgroup/x"):
            self.assertNotEqual(0, self.run_step(command)["exit_code"], command)

    def test_devices(self):
        self.ok("for d in null zero full random urandom tty ptmx; do test -c /dev/$d || exit 1; done; echo x > /dev/null; head -c 9 /dev/urandom")
        # CAP_MKNOD makes any node; the cgroup's filter opens none but those.
        disk = next(d for d in os.listdir("/sys/class/block"))
        with open(f"/sys/class/block/{disk}/dev", encoding="ascii") as file:
            major, minor = file.read().strip().split(":")
        for place in ("/dev", "/"):
            said = self.run_step(f"mknod {place}/disk b {major} {minor} || exit 50; head -c 1 {place}/disk >/dev/null")
            self.assertEqual(1, said["exit_code"], self.err)
            self.assertIn("Operation not permitted", self.err)
        said = self.run_step("mknod /mem c 1 1; head -c 1 /mem")
        self.assertIn("Operation not permitted", self.err)
        self.assertEqual("", self.ok("mknod /n c 1 3; head -c 1 /n"))

    def test_namespaces(self):
        out = self.ok("for n in mnt pid ipc uts net; do readlink /proc/self/ns/$n; done; echo $$; ps | grep -c '^ '").split()
        for name, got in zip(("mnt", "pid", "ipc", "uts", "net"), out):
            self.assertNotEqual(os.readlink(f"/proc/self/ns/{name}"), got)
        self.assertEqual("1", out[5])

    def test_no_network_but_loopback(self):
        out = self.ok("ip -o link; ip -o addr; ping -c 1 -W 5 127.0.0.1 >/dev/null && echo pong", network="none")
        self.assertEqual(["lo:"], [line.split()[1] for line in out.splitlines() if "link/" in line])
        self.assertIn("127.0.0.1/8", out)
        self.assertTrue(out.endswith("pong\n"))

    def test_network_of_the_host(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            self.assertEqual(os.readlink("/proc/self/ns/net"), self.ok("readlink /proc/self/ns/net", network="host").strip())
            port = listener.getsockname()[1]
            running = self.start(f"nc 127.0.0.1 {port} </dev/null", network="host")
            listener.settimeout(50 * SLOW)
            connection, _ = listener.accept()
            connection.sendall(b"hello")
            connection.close()
            self.assertEqual((0, b"hello"), (running.wait()["exit_code"], running.out))
            self.assertNotEqual(0, self.run_step(f"nc -w 5 127.0.0.1 {port} </dev/null", network="none")["exit_code"])

    def test_resolvers_on_loopback_are_for_the_host_network_only(self):
        with open("/etc/resolv.conf", encoding="utf-8") as file:
            host = file.read()
        self.assertEqual(host.rstrip("\n"), self.ok("cat /etc/resolv.conf", network="host").rstrip("\n"))

    def test_insecure(self):
        out = self.ok("grep -E 'CapEff|Seccomp:' /proc/self/status; mkdir /m && mount -t tmpfs t /m && echo mounted", insecure=True)
        with open("/proc/self/status", encoding="ascii") as file:
            ours = dict(line.split(":\t", 1) for line in file)["CapEff"].strip()
        self.assertEqual(["CapEff:", ours, "Seccomp:", "0", "mounted"], out.split())
        self.ok("mknod /mem c 1 1; head -c 1 /mem > /dev/null; mkdir /sys/fs/cgroup/own; rmdir /sys/fs/cgroup/own", insecure=True)
        if os.path.exists("/dev/loop-control"):
            self.ok("test -c /dev/loop-control", insecure=True)
            self.assertNotEqual(0, self.run_step("test -c /dev/loop-control")["exit_code"])
        self.run_step("mkdir -p /sys/fs/cgroup/a/b", insecure=True)  # goes with the step

    def test_root_directory_is_for_everybody_whatever_the_layers_say(self):
        os.chmod(self.root, 0o700)
        os.chown(self.root, 7, 8)
        self.assertEqual("755 0 0\n", self.ok("stat -c '%a %u %g' /", user="bob"))


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Limits(StepCase):
    def test_memory(self):
        said = self.run_step("dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null", limits={"memory": 64 << 20, "memory_swap": 64 << 20})
        self.assertEqual((137, True), (said["exit_code"], said["oom"]), said)
        self.assertIn("out of memory", said["failure"])
        said = self.run_step("true", limits={"memory": 64 << 20})
        self.assertEqual((0, False), (said["exit_code"], said["oom"]))
        self.assertGreater(said["memory_peak"], 100_000)

    def test_processes(self):
        said = self.run_step("for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & done; echo all", limits={"pids": 6})
        self.assertIn("esource temporarily unavailable", self.err)
        self.assertNotEqual(0, said["exit_code"])

    def test_processors(self):
        self.assertEqual("1\n", self.ok("nproc", limits={"cpus": "0"}))
        self.ok("true", limits={"cpu_quota": 50_000, "cpu_period": 100_000, "cpu_shares": 512})
        self.refused("INVALID_ARGUMENT", "limit '1000' of cpuset.cpus", limits={"cpus": "1000"})
        self.refused("INVALID_ARGUMENT", "out of range", limits={"cpu_shares": 1})

    def test_ulimits_and_shared_memory(self):
        self.assertEqual("123\n456\n", self.ok("ulimit -Sn; ulimit -Hn", limits={"ulimits": [["nofile", 123, 456]]}))
        self.refused("INVALID_ARGUMENT", "invalid ulimit type: nonsense", limits={"ulimits": [["nonsense", 1, 2]]})
        self.assertEqual("1048576", self.ok("stat -f -c '%b %S' /dev/shm | { read b s; echo $((b * s)); }", limits={"shm": 1 << 20}).strip())
        self.assertEqual("67108864", self.ok("stat -f -c '%b %S' /dev/shm | { read b s; echo $((b * s)); }").strip())

    def test_what_was_used_is_told(self):
        self.assertGreater(self.run_step("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")["cpu_us"], 1000)


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Layers(StepCase):
    def test_layers_over_one_another(self):
        lowers = []
        for i in range(60):
            os.mkdir(self.path(f"l{i}"))
            with open(self.path(f"l{i}", "top"), "w", encoding="ascii") as file:
                file.write(str(i))
            with open(self.path(f"l{i}", f"only{i}"), "w", encoding="ascii"):
                pass
            lowers.insert(0, self.path(f"l{i}"))
        self.assertEqual("59 60\n", self.ok("echo $(cat /top) $(ls / | grep -c only)", lowers=[*lowers, self.root]))

    def test_as_many_layers_as_overlay_can_take(self):
        lowers = []
        for i in range(498):
            os.mkdir(self.path(f"l{i}"))
            with open(self.path(f"l{i}", f"only{i}"), "w", encoding="ascii"):
                pass
            lowers.append(self.path(f"l{i}"))
        self.assertEqual("498\n", self.ok("ls / | grep -c only", lowers=[*lowers, self.root]))
        self.ok("rm /only7", lowers=[*lowers, self.root])
        with tarfile.open(self.layer()) as tar:
            self.assertEqual([".wh.only7"], tar.getnames())
        self.refused("LIMIT_EXCEEDED", "501 layers; at most 500", lowers=[self.root] * 501)

    def test_layers_that_are_mounts_without_a_place(self):
        os.mkdir(self.path("upper"))
        with open(self.path("upper", "f"), "w", encoding="ascii") as file:
            file.write("from a detached mount")
        said = self.run_step("cat /f", lowers=[self.path("upper"), self.root], detached=True)
        if said.get("failed") == "IO_ERROR" and tuple(map(int, os.uname().release.split(".")[:2])) < (6, 15):
            self.skipTest("this kernel cannot clone a detached mount")
        self.assertEqual(("from a detached mount", 0), (self.out, said["exit_code"]))

    def test_scratch_has_only_what_is_mounted(self):
        os.mkdir(self.path("bin"))
        shutil.copy("/usr/bin/busybox", self.path("bin", "busybox"))
        mounts = [{"type": "bind", "target": "/b", "source": self.path("bin")}]
        self.assertEqual("b\ndev\netc\nproc\nsys\n", self.ok(["/b/busybox", "ls", "/"], lowers=[], mounts=mounts))

    def test_images_of_layers(self):
        if not erofs.can_mount():
            self.skipTest("erofs cannot be mounted here")
        subprocess.run(["tar", "-cf", self.path("t"), "-C", self.root, "."], check=True)
        erofs.convert(self.path("t"), self.path("image"))
        self.assertEqual("bob\n", self.ok("whoami", lowers=[self.path("image")], user="bob"))

    def test_many_steps_at_once(self):
        running = [self.start(f"echo {i}; exit {i}") for i in range(12)]
        for i, step in enumerate(running):
            self.assertEqual(i, step.wait()["exit_code"])
            self.assertEqual(f"{i}\n".encode(), step.out)


@unittest.skipUnless(os.geteuid() == 0 and RUNC, "needs root and runc")
class Runc(StepCase):
    def test_a_step_in_runc(self):
        out = self.ok("id -u; grep CapEff /proc/self/status; exit 0", runtime=RUNC, user="bob")
        self.assertEqual(["1000", "CapEff:", "0" * 16], out.split())
        self.assertEqual(3, self.run_step("exit 3", runtime=RUNC)["exit_code"])
        self.assertEqual(127, self.run_step(["nope"], runtime=RUNC)["exit_code"])

    def test_devices_in_runc(self):
        self.run_step("mknod /mem c 1 1; head -c 1 /mem", runtime=RUNC)
        self.assertIn("Operation not permitted", self.err)

    def test_cancel_in_runc(self):
        marker = f"6{os.getpid()}13"
        running = self.start(f"echo ready; sleep {marker}", runtime=RUNC)
        self.assertEqual(b"ready\n", running.process.stdout.readline())
        running.process.send_signal(signal.SIGTERM)
        self.assertEqual("CANCELLED", running.wait()["failed"])
        self.assertEqual([], processes(f"sleep\0{marker}"))

    def test_a_runtime_that_is_not_there(self):
        self.refused("UNSUPPORTED_CONTENT", "is no program", runtime="/no/crun")


if __name__ == "__main__":
    unittest.main()
