"""What a RUN step costs over the OCI runtime alone: /usr/bin/python3 tests/bench/build_run.py [STEPS]

The same `true` on the same busybox root, in turn: crun as it is (no seccomp filter, no overlay, no limits;
its start and end by posix_spawn), and run_step() of the daemon's library, where the root is an EROFS image: alone, and
with three mounts, each of a path in a tree of three other images. As root; prints milliseconds.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import erofs
from harness import program
from runstep import PARENT, RUN_STEP, make_root


def bare(directory, steps):
    """Wall of each in seconds; in a mount namespace where crun starts whatever the cgroups are."""
    if not os.path.exists(os.path.join(directory, "config.json")):
        subprocess.run(["crun", "spec"], cwd=directory, check=True)
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
        spec = json.load(file)
    spec["process"].update(terminal=False, args=["true"], cwd="/")
    spec["root"] = {"path": os.path.join(directory, "root"), "readonly": False}
    with open(os.path.join(directory, "config.json"), "w", encoding="utf-8") as file:
        json.dump(spec, file)
    command = ["/usr/bin/crun", "--root", os.path.join(directory, "state"), "--cgroup-manager=disabled", "run", "--bundle", directory, "x"]
    times = []
    for _ in range(steps):
        begin = time.monotonic()
        os.waitpid(os.posix_spawn(command[0], command, os.environ), 0)
        times.append(time.monotonic() - begin)
    return times


def image(directory, name, root):
    """An EROFS image of a tree."""
    tar, path = os.path.join(directory, f"{name}.tar"), os.path.join(directory, name)
    subprocess.run(["tar", "-cf", tar, "-C", root, "."], check=True)
    erofs.convert(tar, path)
    return path


def tree(directory, number):
    """Images of three layers."""
    layers = []
    for i in range(3):
        root = os.path.join(directory, f"tree{number}.{i}")
        os.makedirs(os.path.join(root, "d"))
        with open(os.path.join(root, "d", f"f{i}"), "w", encoding="ascii") as file:
            file.write(f"{number} {i}")
        layers.append(image(directory, f"layer{number}.{i}", root))
    return layers


def ours(directory, steps, outer, mounts):
    os.makedirs(os.path.join(directory, "workspace"), exist_ok=True)
    os.makedirs(os.path.join(directory, "step"), exist_ok=True)
    described = {
        "id": f"bench-{os.getpid()}",
        "lowers": [os.path.join(directory, "root.image")],
        "mounts": mounts,
        "directory": os.path.join(directory, "step"),
        "workspace": os.path.join(directory, "workspace"),
        "parent": PARENT,
        "args": ["true"],
        "repeat": steps,
    }
    with open(os.path.join(directory, "step.json"), "w", encoding="utf-8") as file:
        json.dump(described, file)
    said = subprocess.run(
        ["nsenter", f"--mount=/proc/self/fd/{outer}", RUN_STEP, "-repeat", file.name],
        pass_fds=(outer,),
        env={**os.environ, "RUN_STEP_PROGRAM": program("imaged-run"), "RUN_STEP_RESULT": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    times = json.loads(said)
    if isinstance(times, dict):
        raise SystemExit(f"run_step: {times['text']}")
    return [t / 1e6 for t in times]


def show(name, times):
    times = sorted(times)
    print(f"{name:10} p10 {times[len(times) // 10] * 1e3:6.1f}  median {times[len(times) // 2] * 1e3:6.1f} ms", flush=True)
    return times[len(times) // 10], times[len(times) // 2]


def main():
    if len(sys.argv) < 3:  # crun alone needs a /sys/fs/cgroup without hybrid hierarchies
        outer = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        os.set_inheritable(outer, True)
        inner = 'mount -t tmpfs t /sys/fs/cgroup && exec "$@"'
        os.execvp("unshare", ["unshare", "-m", "sh", "-c", inner, "sh", sys.executable, __file__, *(sys.argv[1:] or ["40"]), str(outer)])
    steps, outer = int(sys.argv[1]), int(sys.argv[2])
    directory = tempfile.mkdtemp(prefix="imaged-bench-run-")
    try:
        make_root(os.path.join(directory, "root"))
        image(directory, "root.image", os.path.join(directory, "root"))
        mounts = [{"type": "bind", "target": f"/m{i}", "path": "/d", "layers": tree(directory, i)} for i in range(3)]
        alone, step, mounting = [], [], []
        for _ in range(4):
            alone += bare(directory, steps // 4)
            step += ours(directory, steps // 4, outer, [])
            mounting += ours(directory, steps // 4, outer, mounts)
        a, s, m = show("crun", alone), show("run_step", step), show("3 mounts", mounting)
        for name, over, base in (("over crun", s, a), ("of mounts", m, s)):
            print(f"{name:10} p10 {(over[0] - base[0]) * 1e3:6.1f}  median {(over[1] - base[1]) * 1e3:6.1f} ms")
        print(f"load {os.getloadavg()[0]:.1f}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


main()
