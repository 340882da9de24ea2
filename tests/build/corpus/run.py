"""RUN: forms, users, results, mounts, networks, what of it reaches the layer."""

from buildcorpus import case
from buildimage import Entry, file, folder, link

OLD = {"buildkit-20.10": "its language is of 2020", "buildah-1.28": "knows no such form"}

case("run-forms", "the shell's text as it is written; arguments as they are", """FROM {base}
RUN echo "a  b"   'c' \\
    $HOME > /shell
RUN ["/bin/sh", "-c", "printf '%s,' \\"$0\\" \\"$@\\" > /exec", "$HOME", "a b"]
SHELL ["/bin/sh", "-xc"]
RUN echo x > /own
""", tree={"/shell": "a  b c /root\n", "/exec": "$HOME,a b,", "/own": "x\n"}, layers=3,
     history=["""* RUN /bin/sh -c echo "a  b"   'c'     $HOME > /shell # buildkit""", """* RUN /bin/sh -c printf '%s,' "$0" "$@" > /exec $HOME a b # buildkit""",
              "- SHELL [/bin/sh -xc]", "* RUN /bin/sh -xc echo x > /own # buildkit"])  # fmt: skip

case("run-output", "what it writes is shown, with both streams", "FROM {base}\nRUN echo to-out; echo to-err >&2; printf 'no end'\n", output=[r"^#\d+ +\[2/2\] RUN echo to-out", r"^#\d+ \d+\.\d+ to-"],
     check=lambda r: [f"{w} is not said" for w in (" to-out", " to-err", " no end") if w not in r.log] if r.log.startswith("#") else [])  # fmt: skip

case("run-fails", "the error has the command and the code, and the last of the output", "FROM {base}\nRUN echo before; exit 42\nRUN echo never\n",
     error=r'process "/bin/sh -c echo before; exit 42" did not complete successfully: exit code: 42', output=[r"before"], silent=[r"^#\d+ \d+\.\d+ never"])  # fmt: skip
case("run-signal", "a signal is 128 and its number", "FROM {base}\nRUN sh -c 'kill -9 $$'; exit $?\n", error=r"exit code: 137")
case("run-not-found", "a program that is not there", 'FROM {base}\nRUN ["nothing"]\n', error=r"nothing")
case("run-excerpt", "and the place in the file", "FROM {base}\n\nENV A=1\nRUN false\n", error=r"^Dockerfile:4\n-+\n(.*\n)*\s+4 \| >>> RUN false")

case("run-users", "by name, number, with groups; the directory is made", """FROM {base}
USER bob
RUN echo $(id -u) $(id -g) $(id -G) $HOME > /tmp/1
USER bob:staff
RUN echo $(id -u) $(id -g) $(id -G) $HOME > /tmp/2
USER 1234:29
RUN echo $(id -u) $(id -g) $(id -G) $HOME > /tmp/3
USER 0
WORKDIR /w/x
RUN pwd > /tmp/4
""", part={"/tmp/1": file(None, 0o644, 1000, 1000), "/tmp/2": file("1000 50 50 /home/bob\n", 0o644, 1000, 50),
           "/tmp/3": file("1234 29 29 /\n", 0o644, 1234, 29), "/tmp/4": "/w/x\n"},
     check=lambda r: [] if sorted(r.image.tree["/tmp/1"].data.split()) == sorted(b"1000 1000 1000 29 10 /home/bob".split()) else [repr(r.image.tree["/tmp/1"].data)])  # fmt: skip
case("run-user-unknown", "an account that is not there", "FROM {base}\nUSER nobody\nRUN true\n", error=r"unable to find user nobody|nobody")

case("run-surroundings", "host name, resolver, devices, capabilities; nothing of it in the layer", """FROM {base}
RUN hostname > /h && grep -c localhost /etc/hosts && test -e /etc/resolv.conf && test -c /dev/null && test -d /dev/shm && test -d /proc/1 && ! touch /sys/x && test ! -s /proc/kcore && grep CapEff /proc/self/status > /caps && ! env | grep -E "^(HOSTNAME|TERM)="
""", tree={"/h": "buildkitsandbox\n", "/caps": "CapEff:\t00000000a80425fb\n"}, differs={"buildah-1.28": "a name and capabilities of its own"})  # fmt: skip

case("run-changes", "what is new, changed and gone", """FROM {base}
RUN echo more >> /base/one && rm /base/two && rm -r /base/sub && mkdir /base/sub && echo new > /base/sub/new && chmod 700 /base && ln -sfn x /to-dir && rm /to-nowhere && mkdir /to-nowhere && echo h > /base/hard
RUN echo x > /gone && rm /gone && touch /empty && ln /empty /empty2 && mkfifo /fifo && mknod /char c 1 7 && mv /base/sub/new /moved
""", layers=2,
     part={"/base": folder(0o700, 5, 6), "/base/one": file("one\nmore\n", 0o640, 5, 6), "/base/hard": "h\n", "/base/sub": folder(), "/to-dir": link("x"), "/to-nowhere": folder(), "/empty": "", "/empty2": "",
           "/fifo": Entry("fifo", 0o644), "/char": Entry("char", 0o644, device=(1, 7)), "/moved": "new\n"},
     gone=["/base/sub/deep", "/base/two"], hard={"/empty2": "/empty"}, differs={"buildah-1.28": "may make no devices"})  # fmt: skip

case("run-nothing", "a step that changes nothing has a layer of nothing", "FROM {base}\nRUN true\nRUN touch /base/one && chmod 750 /base\n", layers=2, tree={})

case("mount-bind", "of the context, of a stage, of a file; read-only unless asked; writes are thrown away", """FROM {base} AS other
RUN mkdir /o && echo of-stage > /o/f
FROM {base}
WORKDIR /w
RUN --mount=target=/ctx cat /ctx/a > /1 && ! touch /ctx/x
RUN --mount=type=bind,from=other,source=/o,target=rel,rw cat rel/f > /2 && echo x > rel/new
RUN --mount=type=bind,src=d/f,dst=/one/file cat /one/file > /3
""", {"a": "a", "d/f": "f"}, tree={"/w": folder(), "/1": "a", "/2": "of-stage\n", "/3": "f"},
     differs={"buildkit-20.10": "keeps the directories of mounts", "buildah-1.28": "keeps the directories of mounts"})  # fmt: skip

case("mount-cache", "stays between steps and builds, is in no layer and in no key", """FROM {base}
ARG NOTHING
RUN --mount=type=cache,target=/c,id=corpus-cache,mode=0700,uid=5 stat -c '%a %u' /c > /1 && echo kept > /c/f
RUN --mount=type=cache,id=corpus-cache,target=/elsewhere,mode=0700,uid=5 cat /elsewhere/f > /2
RUN --mount=type=cache,id=corpus-cache,target=/r,mode=0700,uid=5,ro ! touch /r/x
""", part={"/1": "700 5\n", "/2": "kept\n"}, check=lambda r: [n for n in ("/c/f", "/elsewhere/f") if n in r.image.tree])  # fmt: skip

case("mount-tmpfs", "of its size", "FROM {base}\nRUN --mount=type=tmpfs,target=/t,size=1m df -k /t | awk 'END { print $2 }' > /1; ! dd if=/dev/zero of=/t/x bs=64k count=32\n", part={"/1": "1024\n"},
     differs={"buildkit-20.10": "knows no size", "buildah-1.28": "calls it tmpfs-size"})  # fmt: skip

case("mount-secret", "a file of its mode, a variable, one that is not there", """FROM {base}
RUN --mount=type=secret,id=s cat /run/secrets/s > /1 && stat -c '%a %u' /run/secrets/s >> /1
RUN --mount=type=secret,id=s,target=/etc/token,mode=0440,uid=1000 stat -c '%a %u' /etc/token > /2
RUN --mount=type=secret,id=none test ! -e /run/secrets/none
""", options=["--secret", "id=s,src={dir}/context/token"], context={"token": "harmless", ".dockerignore": "token\n"},
     part={"/1": "harmless400 0\n", "/2": "440 1000\n"})  # fmt: skip
case("mount-secret-env", "as a variable", "FROM {base}\nRUN --mount=type=secret,id=s,env=TOKEN echo ${#TOKEN} > /1 && test ! -e /run/secrets/s\nRUN --mount=type=secret,id=s,env=T,target=/t cat /t > /2\n",
     options=["--secret", "id=s,env=CLIENT_TOKEN"], environment={"CLIENT_TOKEN": "12345"}, part={"/1": "5\n", "/2": "12345"}, differs=OLD)  # fmt: skip
case("mount-secret-required", "one that has to be there", "FROM {base}\nRUN --mount=type=secret,id=none,required true\n", error=r"secret none: not found|not found")

for name, text, wanted in (
    ("type", "--mount=type=bnd,target=/x", r"unsupported mount type \"?bnd\"?"),
    ("key", "--mount=type=bind,targt=/x", r"unexpected key '?targt'?"),
    ("root", "--mount=type=tmpfs,target=/", r"invalid mount target \"?/\"?|must not be /|is not allowed"),
    ("from", "--mount=type=bind,from=$X,target=/x", r"variable expansion is not supported|'from' doesn't support|\$X"),
    ("missing", "--mount=type=bind,source=missing,target=/x", r"missing"),
    ("mode", "--mount=type=bind,target=/x,mode=0700", r"mode"),
    ("network", "--network=nowhere", r"unsupported network mode|invalid network|nowhere"),
):
    case(f"run-error-{name}", f"{text} is refused", f"FROM {{base}}\nARG X=base\nRUN {text} true\n", {"a": "a"}, error=wanted,
         differs={"buildah-1.28": "takes it"} if name in ("from", "missing") else {})  # fmt: skip

case("run-network-none", "a network of its own: only the loopback", "FROM {base}\nRUN --network=none ls /sys/class/net > /1\n", tree={"/1": "lo\n"}, differs={"buildkit-20.10": "its language knows no --network", "buildah-1.28": "its language knows no --network"})

case("run-host-names", "--add-host", "FROM {base}\nRUN grep database /etc/hosts > /1\n", options=["--add-host", "database:10.1.2.3"], check=lambda r: [] if r.image.tree["/1"].data.split() == [b"10.1.2.3", b"database"] else [repr(r.image.tree["/1"].data)],
     differs={"buildah-1.28": "without a network no file of hosts"})

case("run-limits", "--shm-size and --ulimit", "FROM {base}\nRUN df -k /dev/shm | awk 'END { print $2 }' > /1; ulimit -n > /2\n", options=["--shm-size", "1m", "--ulimit", "nofile=123:456"], tree={"/1": "1024\n", "/2": "123\n"}, differs={"buildkit-20.10": "takes no limits"})

case("mount-cache-content", "a cache begins with what another stage has", "FROM {base} AS seed\nRUN mkdir /s && echo seed > /s/f\nFROM {base}\nRUN --mount=type=cache,id=corpus-seeded,target=/c,from=seed,source=/s cat /c/f > /1 && echo mine > /c/f\n"
     "RUN --mount=type=cache,id=corpus-seeded,target=/c,from=seed,source=/s cat /c/f > /2\n", part={"/1": "seed\n", "/2": "mine\n"})  # fmt: skip
case("mount-ssh-none", "an agent that nobody gave, and one that has to be there", "FROM {base}\nRUN --mount=type=ssh test -z \"$SSH_AUTH_SOCK\"\n", layers=1, differs={"buildkit-20.10": "names the socket of no agent"})
case("mount-ssh-required", "one that has to be there", "FROM {base}\nRUN --mount=type=ssh,required true\n", error=r"ssh|SSH")
case("run-security", "what is not allowed is refused", "FROM {base}\nRUN --security=insecure true\n", error=r"security\.insecure|unknown flag|insecure|RUN only supports")
case("run-host-name", "a name of the sandbox", "FROM {base}\nRUN hostname > /1\n", options=["--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=other-name"], tree={"/1": "other-name\n"},
     differs={"buildkit-20.10": "knows no such argument", "buildah-1.28": "knows no such argument"})  # fmt: skip
