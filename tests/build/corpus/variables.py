"""Variables: where they are expanded, how, and which there are."""

from buildcorpus import PATH, case
from buildimage import file, folder

OLD_FORMS = {"buildkit-20.10": "its language is too old for this form", "buildah-1.28": "does not know this form"}


def label(value, before="ENV v=value e= p=/usr/lib/libfoo.so.1\n", **more):
    """What a LABEL makes of the text."""
    return {"dockerfile": "FROM {base}\n" + before + f"LABEL l={value}\n", **more}


for name, text, wanted, old in (
    ("plain", "$v-${v}-$none-${none}", "value-value--", False),
    ("default", "${none:-d}-${e:-d}-${v:-d}-${none:-$v}", "d-d-value-value", False),
    ("other", "${v:+o}-${e:+o}-${none:+o}", "o--", False),
    ("bare", "${none-d}-${e-d}-${v+o}-${e+o}-${none+o}", "d--o-o-", True),
    ("required", "${v:?missing}-${v?missing}", "value-value", "buildah-1.28"),
    ("prefix", "${p#*/}-${p##*/}-${v#x}", "usr/lib/libfoo.so.1-libfoo.so.1-value", True),
    ("suffix", "${p%.*}-${p%%.*}", "/usr/lib/libfoo.so-/usr/lib/libfoo", True),
    ("replace", "${p/lib/L}-${p//lib/L}-${p/\\//_}", "/usr/L/libfoo.so.1-/usr/L/Lfoo.so.1-_usr/lib/libfoo.so.1", True),
    ("quotes", "'$v'\"$v\\$v\"\\$v\\a", "$vvalue$v$va", False),
    ("double", '"a\\b\\"c"', 'a\\b"c', False),
    ("special", "a$1b${none}$.", "ab$.", False),
):
    case(f"variable-{name}", f"{text} is {wanted}", label(text)["dockerfile"], config={"Labels": {"l": wanted}}, differs={old: OLD_FORMS[old]} if isinstance(old, str) else OLD_FORMS if old else {})

case("variable-required-missing", "an error with the text", label('"${none:?a $v is missing}"')["dockerfile"], error=r"none: a value is missing", differs={})
case("variable-unbalanced", "a quote that does not end", label("'abc")["dockerfile"], error=r"unexpected end of statement while looking for matching single-quote")
case("variable-unclosed", "a brace that does not end", label("${v")["dockerfile"], error=r"syntax error: missing '}'|unsupported modifier|missing :? ?in substitution|unexpected EOF|missing")
case("variable-modifier", "one that there is not", label("${v:x}")["dockerfile"], error=r"unsupported modifier")

case(
    "variable-same-instruction",
    "all words of an instruction see the values from before it",
    "FROM {base}\nENV a=1\nENV a=2 b=$a\nENV c=$a\nLABEL a=$b b=$c\n",
    config={"Env": [PATH, "a=2", "b=1", "c=2"], "Labels": {"a": "1", "b": "2"}},
)

case(
    "variable-where",
    "expanded in most instructions, not in commands",
    """ARG TAG=latest
FROM {base}:${TAG}
ENV d=/dir u=1000:50 p=8080 s=SIGINT f=a
WORKDIR $d
COPY --chown=$u ${f} $d/$f-copy
ADD $f ./added
EXPOSE $p ${p}/udp
VOLUME $d/volume
STOPSIGNAL $s
USER $u
RUN test $(id -u) = 1000
ENTRYPOINT ["$d"]
CMD echo $d
HEALTHCHECK CMD test $d
SHELL ["/bin/sh", "-c", "$d"]
""",
    {"a": "a"},
    config={
        "WorkingDir": "/dir",
        "User": "1000:50",
        "StopSignal": "SIGINT",
        "ExposedPorts": {"8080/tcp": {}, "8080/udp": {}},
        "Volumes": {"/dir/volume": {}},
        "Entrypoint": ["$d"],
        "Cmd": ["/bin/sh", "-c", "echo $d"],
        "Shell": ["/bin/sh", "-c", "$d"],
        "Healthcheck": {"Test": ["CMD-SHELL", "test $d"]},
    },
    tree={"/dir": folder(), "/dir/a-copy": file("a", 0o644, 1000, 50), "/dir/added": "a"},
    differs={"buildah-1.28": "makes directories of volumes"},
)

case("variable-words", "EXPOSE splits a value into words, COPY does not", "FROM {base}\nENV p='80 81/udp' f='a b'\nEXPOSE $p\nCOPY $f /c\n", {"a b": "ab", "a": "a"},
     config={"ExposedPorts": {"80/tcp": {}, "81/udp": {}}}, tree={"/c": "ab"})  # fmt: skip

case("arg-scopes", "before the first FROM for FROM alone; a stage asks for it; a default may use earlier ones; inherited",
     """ARG BASE={base} GLOBAL=global
FROM $BASE AS one
RUN echo "[$GLOBAL]" > /before
ARG GLOBAL
ARG A=1 B=$A-2 C
RUN echo "$GLOBAL $A $B [$C]" > /after
FROM one
RUN echo "$GLOBAL $A $B" > /inherited
""", tree={"/before": "[]\n", "/after": "global 1 1-2 []\n", "/inherited": "global 1 1-2\n"},
     history=["* RUN /bin/sh -c echo \"[$GLOBAL]\" > /before # buildkit", "- ARG GLOBAL=global", "- ARG A=1 B=1-2 C",
              "* RUN |4 GLOBAL=global A=1 B=1-2 C= /bin/sh -c echo \"$GLOBAL $A $B [$C]\" > /after # buildkit",
              "* RUN |4 GLOBAL=global A=1 B=1-2 C= /bin/sh -c echo \"$GLOBAL $A $B\" > /inherited # buildkit"],
     differs={"buildkit-20.10": "its history has ARG as written", "buildah-1.28": "an ARG ends with its stage"})  # fmt: skip

case("arg-given", "a value from outside, from the environment, one that nobody asked for",
     "FROM {base}\nARG A=default\nARG B\nARG C=default\nRUN echo $A $B $C > /f\n",
     options=["--build-arg", "A=given", "--build-arg", "B", "--build-arg", "C=", "--build-arg", "UNUSED=1"], environment={"B": "of client"}, tree={"/f": "given of client\n"},
     silent=["UNUSED"])  # fmt: skip

case("arg-env", "ENV wins over ARG of its name, also that of the base; an ARG is not in the image",
     "FROM {full}\nARG FROM_BASE=no A=no N=arg\nENV B=env\nARG B=arg\nUSER root\nRUN echo $FROM_BASE $A $B $N > /f\n", options=["--build-arg", "B=given"], base="full",
     part={"/f": "yes base env arg\n"}, config={"Env": [PATH, "FROM_BASE=yes", "A=base", "B=env"]},
     differs={"buildkit-20.10": "the later of ARG and ENV wins in RUN"})  # fmt: skip

case("arg-proxies", "predefined ones reach RUN, and neither the image nor its history", "FROM {base}\nRUN echo $HTTP_PROXY $no_proxy $ALL_PROXY > /f\n",
     options=["--build-arg", "HTTP_PROXY=http://proxy:1", "--build-arg", "no_proxy=a,b", "--build-arg", "ALL_PROXY=all"], tree={"/f": "http://proxy:1 a,b all\n"},
     history=["* RUN /bin/sh -c echo $HTTP_PROXY $no_proxy $ALL_PROXY > /f # buildkit"], config={"Env": [PATH]},
     differs={"buildkit-20.10": "knows no ALL_PROXY", "buildah-1.28": "knows no ALL_PROXY"})  # fmt: skip

case("arg-proxy-declared", "one that is declared is as any other", "FROM {base}\nARG HTTP_PROXY\nRUN echo $HTTP_PROXY > /f\n", options=["--build-arg", "HTTP_PROXY=http://proxy:1"],
     history=["- ARG HTTP_PROXY=http://proxy:1", "* RUN |1 HTTP_PROXY=http://proxy:1 /bin/sh -c echo $HTTP_PROXY > /f # buildkit"], tree={"/f": "http://proxy:1\n"},
     differs={"buildkit-20.10": "its history has ARG as written"})  # fmt: skip

case("arg-platform", "of the platform: a stage asks for them",
     "FROM --platform=$BUILDPLATFORM {base} AS one\nARG TARGETOS\nARG TARGETARCH TARGETPLATFORM TARGETVARIANT\nARG BUILDPLATFORM BUILDOS BUILDARCH\nARG TARGETSTAGE\n"
     "RUN echo $TARGETOS $TARGETARCH $TARGETPLATFORM [$TARGETVARIANT] $BUILDPLATFORM $BUILDOS $BUILDARCH $TARGETSTAGE > /f\nFROM one\nRUN echo \"[$BUILDVARIANT]\" >> /f\n",
     tree={"/f": "linux amd64 linux/amd64 [] linux/amd64 linux amd64 default\n[]\n"}, differs={"buildkit-20.10": "knows no TARGETSTAGE", "buildah-1.28": "an ARG ends with its stage"})  # fmt: skip

case("arg-platform-given", "they can be given", "FROM {base}\nARG TARGETOS\nRUN echo $TARGETOS > /f\n", options=["--build-arg", "TARGETOS=other"], tree={"/f": "other\n"})  # fmt: skip

case("variable-case", "names are what they are", "FROM {base}\nENV name=a NAME=b\nLABEL l=$name$NAME$Name\n", config={"Labels": {"l": "ab"}, "Env": [PATH, "name=a", "NAME=b"]})
