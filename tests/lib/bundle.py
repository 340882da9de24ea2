"""The config.json of an OCI bundle that runs an image as a privileged container does.

    imagectl inspect IMAGE | bundle.py >BUNDLE/config.json

Volumes are on a tmpfs each. The root file system is BUNDLE/rootfs."""

import json
import sys

CAPABILITIES = """AUDIT_WRITE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL MKNOD NET_ADMIN NET_BIND_SERVICE
 NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_CHROOT SYS_PTRACE""".split()


def mount(where, kind, *options):
    return {"destination": where, "type": kind, "source": kind, "options": list(options)}


def config(image):
    capabilities = [f"CAP_{name}" for name in CAPABILITIES]
    volumes = [mount(path, "tmpfs") for path in image.get("Volumes") or {}]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": (image.get("Entrypoint") or []) + (image.get("Cmd") or []),
            "env": image.get("Env") or [],
            "cwd": image.get("WorkingDir") or "/",
            "capabilities": {name: capabilities for name in ("bounding", "effective", "permitted")},
        },
        "root": {"path": "rootfs"},
        "mounts": [
            mount("/proc", "proc"),
            mount("/dev", "tmpfs", "nosuid", "mode=755"),
            mount("/dev/pts", "devpts", "newinstance", "ptmxmode=0666"),
            mount("/sys", "/sys", "rbind"),
            *volumes,
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]},
    }


if __name__ == "__main__":
    json.dump(config(json.load(sys.stdin)[0]["Config"]), sys.stdout)
