"""Instructions that change the configuration, what of it a child has from its base, and the history."""

from buildcorpus import PATH, case
from buildimage import folder

OLD_HISTORY = {"buildkit-20.10": "its history has ports as a map, ARG as written and three durations"}

case("config-scratch", "FROM scratch has the default PATH and the root as its directory", "FROM scratch\nCOPY a /a\n", {"a": "a"}, config={"Env": [PATH], "WorkingDir": "/"},
     history=["* COPY a /a # buildkit"], tree={"/a": "a"}, layers=1, image={"os": "linux", "architecture": "amd64"},
     differs={"buildah-1.28": "its scratch has no PATH"})  # fmt: skip

case("config-inherited", "all of the base's configuration", "FROM {full}\n", base="full", layers=0, tree={}, history=[],
     config={"User": "bob", "ExposedPorts": {"80/tcp": {}}, "Env": [PATH, "FROM_BASE=yes", "A=base"], "Entrypoint": ["/bin/entry"], "Cmd": ["base", "command"], "Volumes": {"/data": {}},
             "WorkingDir": "/base/sub", "Labels": {"from": "base", "both": "base"}, "StopSignal": "SIGUSR1", "Healthcheck": {"Test": ["CMD", "true"], "Interval": 7_000_000_000},
             "Shell": ["/bin/sh", "-ec"]})  # fmt: skip

case("config-changed", "and what a child changes of it", """FROM {full}
USER eve:staff
EXPOSE 443 53/UDP 8000-8002
ENV A=child B=new
ENTRYPOINT ["/other"]
VOLUME ["/v 1", "/v2"]
VOLUME /v3 /v4
WORKDIR below
WORKDIR ../up/
LABEL both=child "with blank"="a b"
LABEL old style label
STOPSIGNAL 9
HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=2s --retries=3 CMD ["check", "it"]
SHELL ["/bin/sh", "-xc"]
""", base="full", layers=2,
     config={"User": "eve:staff", "ExposedPorts": {"80/tcp": {}, "443/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}},
             "Env": [PATH, "FROM_BASE=yes", "A=child", "B=new"], "Entrypoint": ["/other"], "Cmd": None, "Volumes": {"/data": {}, "/v 1": {}, "/v2": {}, "/v3": {}, "/v4": {}},
             "WorkingDir": "/base/sub/up", "Labels": {"from": "base", "both": "child", "with blank": "a b", "old": "style label"}, "StopSignal": "9",
             "Healthcheck": {"Test": ["CMD", "check", "it"], "Interval": 90_000_000_000, "Timeout": 500_000_000, "StartPeriod": 2_000_000_000, "Retries": 3},
             "Shell": ["/bin/sh", "-xc"]},
     tree={"/base/sub/below": folder(0o755, 1001, 50), "/base/sub/up": folder(0o755, 1001, 50)},
     differs={"buildah-1.28": "makes directories of volumes, keeps the base's command"})  # fmt: skip

case("config-commands", "the last of CMD and ENTRYPOINT; a command that is set before stays", "FROM {full}\nCMD first\nCMD [\"second\"]\nENTRYPOINT entry point\n", base="full",
     config={"Cmd": ["second"], "Entrypoint": ["/bin/sh", "-ec", "entry point"], "ArgsEscaped": True}, layers=0,
     history=['- CMD ["/bin/sh" "-ec" "first"]', '- CMD ["second"]', '- ENTRYPOINT ["/bin/sh" "-ec" "entry point"]'],
     differs={"buildah-1.28": "knows no ArgsEscaped"})  # fmt: skip

case("config-commands-reset", "empty arrays take them away", "FROM {full}\nCMD []\nENTRYPOINT []\n", base="full", config={"Cmd": None, "Entrypoint": None})

case("config-healthcheck-none", "HEALTHCHECK NONE, and the shell's form", "FROM {full} AS one\nHEALTHCHECK --retries=2 CMD exit 1\nFROM one\nHEALTHCHECK NONE\n", base="full",
     config={"Healthcheck": {"Test": ["NONE"]}})  # fmt: skip

case("config-healthcheck-shell", "a check by the shell, in the history as it always was", "FROM {base}\nHEALTHCHECK --interval=5s --retries=2 CMD echo ok\n",
     config={"Healthcheck": {"Test": ["CMD-SHELL", "echo ok"], "Interval": 5_000_000_000, "Retries": 2}},
     history=[r"""- HEALTHCHECK &{["CMD-SHELL" "echo ok"] "5s" "0s" "0s" "0s" '\x02'}"""], differs=OLD_HISTORY)  # fmt: skip

for name, text, wanted in (
    ("duration", "HEALTHCHECK --interval=1us CMD true", r"[Ii]nterval .* cannot be less than 1ms"),
    ("negative", "HEALTHCHECK --retries=-1 CMD true", r"retries"),
    ("unit", "HEALTHCHECK --timeout=5 CMD true", r"missing unit in duration"),
    ("stopsignal", "STOPSIGNAL SIGNOTHING", r"[Ii]nvalid signal: SIGNOTHING"),
    ("expose", "EXPOSE 80/x/y", r"[Ii]nvalid (proto|container ?[Pp]ort|port)"),
    ("expose-range", "EXPOSE 90-80", r"[Ii]nvalid (range|container ?[Pp]ort|port)"),
    ("expose-large", "EXPOSE 65536", r"[Ii]nvalid (container ?[Pp]ort|port)|out of range"),
    ("env-name", "ENV =x", r"names can not be blank|ENV must have two arguments"),
    ("env-words", "ENV a", r"ENV must have two arguments"),
    ("label-words", "LABEL a=b c", r"[Ss]yntax error - can't find = in \"c\""),
    ("shell-form", "SHELL /bin/sh", r"SHELL requires the arguments to be in JSON form"),
    ("volume-empty", 'VOLUME [""]', r"VOLUME specified can not be an empty string"),
    ("user-words", "USER", r"USER requires exactly one argument"),
    ("onbuild-onbuild", "ONBUILD ONBUILD RUN x", r"Chaining ONBUILD via `?ONBUILD ONBUILD`? isn't allowed"),
    ("onbuild-from", "ONBUILD FROM x", r"FROM isn't allowed as an ONBUILD trigger"),
    ("copy-words", "COPY a", r"COPY requires at least two arguments"),
    ("arg-words", "ARG", r"ARG requires at least one argument"),
    ("maintainer", "MAINTAINER", r"MAINTAINER requires exactly one argument"),
):
    lax = {"buildah-1.28": "takes it"} if name in ("duration", "expose", "expose-range", "expose-large", "env-name") else {}
    case(f"config-error-{name}", f"{text} is refused", f"FROM {{base}}\n{text}\n", {"a": "a"}, error=wanted, differs=lax)

case("config-maintainer", "the author, in a field of its own", "FROM {base}\nMAINTAINER Some One <s@example.org>\n", image={"author": "Some One <s@example.org>"}, layers=0,
     history=["- MAINTAINER Some One <s@example.org>"])  # fmt: skip

case("config-expose", "ranges, an address before it, upper case", "FROM {base}\nEXPOSE 127.0.0.1:80:8080 90-91/TCP 7/sctp\n", config={"ExposedPorts": {"8080/tcp": {}, "90/tcp": {}, "91/tcp": {}, "7/sctp": {}}},
     differs={"buildah-1.28": "takes no addresses"})  # fmt: skip

case("config-env-order", "a variable keeps its place", "FROM {base}\nENV a=1 b=2\nENV c three and\\ four\nENV a=9 d='x y'\n", config={"Env": [PATH, "a=9", "b=2", "c=three and four", "d=x y"]},
     history=["- ENV a=1 b=2", "- ENV c=three and four", "- ENV a=9 d=x y"])  # fmt: skip

case("config-label-option", "--label comes after all", "FROM {base}\nLABEL a=1 b=2\n", options=["--label", "b=option", "--label", "c", "--label", "d=e=f"],
     config={"Labels": {"a": "1", "b": "option", "c": "", "d": "e=f"}}, history=["- LABEL a=1 b=2"])  # fmt: skip

case("config-history", "one entry for each instruction, in the words that people know", """FROM {base}
ARG VER=1 FOO NONE
ENV A=b C="d e"
LABEL l1=x l2="y z"
EXPOSE 80 443/tcp 53/udp
VOLUME /v1 /v2
WORKDIR /work
WORKDIR sub
COPY --chown=1:2 f.txt ./g.txt
ADD f.txt h.txt
RUN echo hi > /r
RUN ["/bin/sh", "-c", "echo exec > /x"]
USER 1:2
STOPSIGNAL SIGINT
SHELL ["/bin/sh", "-ec"]
CMD echo $A
ENTRYPOINT ["/bin/sh"]
ONBUILD RUN echo later
""", {"f.txt": "f"}, options=["--build-arg", "FOO=bar"], layers=6, config={"OnBuild": ["RUN echo later"], "WorkingDir": "/work/sub"},
     history=["- ARG VER=1 FOO=bar NONE", "- ENV A=b C=d e", "- LABEL l1=x l2=y z", "- EXPOSE [443/tcp 53/udp 80/tcp]", "- VOLUME [/v1 /v2]", "* WORKDIR /work", "* WORKDIR /work/sub",
              "* COPY --chown=1:2 f.txt ./g.txt # buildkit", "* ADD f.txt h.txt # buildkit", "* RUN |3 VER=1 FOO=bar NONE= /bin/sh -c echo hi > /r # buildkit",
              "* RUN |3 VER=1 FOO=bar NONE= /bin/sh -c echo exec > /x # buildkit", "- USER 1:2", "- STOPSIGNAL SIGINT", "- SHELL [/bin/sh -ec]", '- CMD ["/bin/sh" "-ec" "echo $A"]', '- ENTRYPOINT ["/bin/sh"]'],
     differs=OLD_HISTORY)  # fmt: skip

case("config-workdir-root", "the root makes no layer", "FROM {base}\nWORKDIR /\nWORKDIR /base/\n", layers=1, tree={}, history=["- WORKDIR /", "* WORKDIR /base/"])  # fmt: skip

case("workdir-user", "a directory of WORKDIR belongs to the user, links are followed within the root", "FROM {base}\nUSER bob\nWORKDIR /new/dir\nWORKDIR /to-outside/inner\nUSER 77\nWORKDIR /num\n",
     tree={"/new": folder(0o755, 1000, 1000), "/new/dir": folder(0o755, 1000, 1000), "/base/sub/inner": folder(0o755, 1000, 1000), "/num": folder(0o755, 77, 77)},
     )  # fmt: skip

case("onbuild-fires", "triggers run right after FROM, in order, and are gone then", "FROM {triggers}\nRUN echo $FIRED > /after\n", {"for-trigger": "context"}, base="triggers",
     tree={"/fired": "yes\n", "/from-context": "context", "/after": "yes\n"}, config={"OnBuild": None, "Env": [PATH, "FIRED=yes"]}, layers=3,
     history=["- ENV FIRED=yes", "* RUN /bin/sh -c echo $FIRED > /fired # buildkit", "* COPY for-trigger /from-context # buildkit", "* RUN /bin/sh -c echo $FIRED > /after # buildkit"])  # fmt: skip

case("onbuild-stage", "also of a stage of the same file", "FROM {base} AS parent\nONBUILD ARG V=1\nONBUILD RUN echo $V > /v\nFROM parent\n", options=["--build-arg", "V=2"], tree={"/v": "2\n"}, config={"OnBuild": None})
