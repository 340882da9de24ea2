"""RUN steps on a busybox root, by the program run_step (tests/build/run_step.c)."""

import contextlib
import json
import os
import shutil
import signal
import subprocess

from harness import BIN, SLOW, TestCase, program

RUN_STEP = os.path.join(os.path.dirname(BIN), "tests", "run_step")
RUNC = next((p for p in ("/usr/sbin/runc", "/usr/bin/runc") if os.path.exists(p)), None)
PARENT = "imaged-tests"  # of cgroups: none that a daemon of this machine has
PASSWD = """root:x:0:0:root:/root:/bin/sh
bob:x:1000:1000:Bob:/home/bob:/bin/sh
eve:x:1001:1001:Eve:/home/eve:/bin/sh
daemon:x:2:2::/:/bin/false
"""
GROUP = """root:x:0:
wheel:x:10:bob, eve
bob:x:1000:
audio:x:29:bob
staff:x:50:
"""


def make_root(directory):
    """A root file system with busybox and a few users."""
    for name in ("bin", "etc", "root", "home/bob", "tmp", "usr/bin"):
        os.makedirs(os.path.join(directory, name))
    os.chmod(os.path.join(directory, "tmp"), 0o1777)
    shutil.copy("/usr/bin/busybox", os.path.join(directory, "bin", "busybox"))
    names = subprocess.run(["/usr/bin/busybox", "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    for name in set(names) - {"busybox"}:
        os.symlink("busybox", os.path.join(directory, "bin", name))
    for name, text in (("passwd", PASSWD), ("group", GROUP)):
        with open(os.path.join(directory, "etc", name), "w", encoding="ascii") as file:
            file.write(text)
    for path, _, files in os.walk(directory, topdown=False):
        for name in files:
            os.utime(os.path.join(path, name), (1_600_000_000, 1_600_000_000), follow_symlinks=False)
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return directory


class Running:
    """A step that goes on."""

    def __init__(self, case, spec, as_id=None, mode=None):
        self.spec = spec
        ours, theirs = os.pipe()
        # A SIGTERM before run_step is ready for it is kept for it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        self.process = subprocess.Popen(
            [RUN_STEP, *([mode] if mode else []), spec],
            stdin=subprocess.PIPE if mode else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "RUN_STEP_PROGRAM": case.worker, "RUN_STEP_RESULT": str(theirs)},
            pass_fds=(theirs,),
            user=as_id,
            group=as_id,
            extra_groups=[] if as_id is not None else None,
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(theirs)
        self._result = ours

    def wait(self, timeout=100):
        """What it said and how it ended; the streams as bytes are in `out` and `err`."""
        self.out, self.err = self.process.communicate(timeout=timeout * SLOW)
        with os.fdopen(self._result, "rb") as file:
            text = file.read()
        if not text:
            raise AssertionError(f"run_step: exit {self.process.returncode}\n{self.err.decode(errors='replace')}")
        return json.loads(text)


class StepCase(TestCase):
    """self.root is the lowest layer; each step gets a directory of its own."""

    worker = program("imaged-run")

    def setUp(self):
        super().setUp()
        self.addCleanup(self._unmounted)
        self.root = make_root(self.path("root"))
        os.mkdir(self.path("workspace"))
        self.steps = 0

    def _unmounted(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            self.assertNotIn(self.dir, file.read(), "a mount is left")
        if os.geteuid() == 0:
            for path in self.cgroups():
                self.assertEqual([], [n for n in os.listdir(path) if n.startswith(self.prefix)], "a cgroup is left")

    @property
    def prefix(self):
        return f"test-{os.path.basename(self.dir).lower().replace('_', '-')}-"

    def cgroups(self):
        """The directories that hold the steps' cgroups, where a hierarchy is mounted."""
        places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        places += [os.path.join("/sys/fs/cgroup", name) for name in ("memory", "cpu", "pids", "cpuset")]
        return [p for p in (os.path.join(place, PARENT) for place in places) if os.path.isdir(p)]

    def spec(self, command, **fields):
        """The path of the file that describes a step."""
        self.steps += 1
        directory = self.path(f"step{self.steps}")
        os.mkdir(directory)
        described = {
            "id": f"{self.prefix}{self.steps}",
            "lowers": [self.root],
            "directory": directory,
            "workspace": self.path("workspace"),
            "parent": PARENT,
            "args": ["/bin/sh", "-c", command] if isinstance(command, str) else command,
            **fields,
        }
        with open(self.path(f"step{self.steps}.json"), "w", encoding="utf-8") as file:
            json.dump(described, file)
        self.step_directory = directory
        return file.name

    def start(self, command, as_id=None, **fields):
        return Running(self, self.spec(command, **fields), as_id)

    def run_step(self, command, **fields):
        """The result; what it wrote is in self.out and self.err."""
        running = self.start(command, **fields)
        said = running.wait()
        self.out, self.err = running.out.decode(errors="replace"), running.err.decode(errors="replace")
        return said

    def ok(self, command, **fields):
        """Standard output of a step that must end with 0."""
        said = self.run_step(command, **fields)
        self.assertEqual(0, said.get("exit_code"), f"{said}\n{self.out}{self.err}")
        return self.out

    def refused(self, reason, text, command="true", **fields):
        said = self.run_step(command, **fields)
        self.assertEqual(reason, said.get("failed"), f"{said}\n{self.out}{self.err}")
        self.assertRegex(said["text"], text)

    def layer(self, spec=None, as_id=None, **fields):
        """The layer of the last step, as a path of a tar."""
        spec = spec or self.path(f"step{self.steps}.json")
        with open(spec, encoding="utf-8") as file:
            described = json.load(file)
        described.update(fields)
        path, tar = self.path("layer.json"), self.path(f"layer{self.steps}.tar")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(described, file)
        with open(tar, "wb") as out:
            result = subprocess.run(
                [RUN_STEP, "-layer", path],
                stdout=out,
                stderr=subprocess.PIPE,
                env={**os.environ, "RUN_STEP_PROGRAM": self.worker},
                timeout=100 * SLOW,
                user=as_id,
                group=as_id,
                extra_groups=[] if as_id is not None else None,
            )
        self.layer_error = result.stderr.decode(errors="replace")
        return tar if result.returncode == 0 else None

    def remove(self):
        """Empties the directory of the last step."""
        subprocess.run(
            [RUN_STEP, "-remove", self.path(f"step{self.steps}.json")],
            env={**os.environ, "RUN_STEP_PROGRAM": self.worker},
            timeout=100 * SLOW,
            check=True,
        )


def processes(marker):
    """Ids of processes that have these bytes among their arguments."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
                if marker.encode() in file.read() and int(name) != os.getpid():
                    found.append(int(name))
    return found
