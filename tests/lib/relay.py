"""A unix socket whose other end is another user: what connects to `address` reaches `target`
from a process of that user, with those groups. Needs root.

    with Relay(directory, imaged.socket, uid=41001, gid=41001) as relay:
        rpc.Client(relay.address)
"""

import os
import socket
import subprocess
import sys

# Runs as the other user, who may not be able to read the tests.
_PROGRAM = """
import socket, sys, threading

def copy(source, to):
    try:
        while data := source.recv(65536):
            to.sendall(data)
    except OSError:
        pass
    for one in (source, to):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

listener = socket.socket(fileno=int(sys.argv[1]))
while True:
    near, _ = listener.accept()
    far = socket.socket(socket.AF_UNIX)
    far.connect(sys.argv[2])
    for pair in ((near, far), (far, near)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
"""


class Relay:
    def __init__(self, directory, target, uid, gid, groups=()):
        path = os.path.join(directory, f"relay-{uid}.sock")
        self.address = f"unix://{path}"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(16)
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", _PROGRAM, str(listener.fileno()), target],
                stdin=subprocess.DEVNULL, pass_fds=[listener.fileno()], user=uid, group=gid, extra_groups=list(groups), cwd="/",
            )

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
