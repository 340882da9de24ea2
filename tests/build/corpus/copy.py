"""COPY: sources, destinations, owners, modes, links."""

from buildcorpus import case
from buildimage import file, fifo, folder, hard, link, socket

OLD = {"buildkit-20.10": "its language is of 2020", "buildah-1.28": "knows no such flag"}
TREE = {
    "d": folder(0o700, 3, 4),
    "d/f": file("f", 0o4711, 1234, 5678),
    "d/sub": folder(0o1770),
    "d/sub/g": file("g", 0o600),
    "d/link": link("sub/g"),
    "d/abs": link("/etc/passwd"),
    "other": "other",
    "a1": "1",
    "a2": "2",
    "b[1]": "bracket",
}

case("copy-one", "a file gets the name that the destination says, or its own in a directory", "FROM {base}\nCOPY a /renamed\nCOPY a /in/dir/\nCOPY a /base\n", {"a": file("text\n", 0o640, 1234, 5678)}, layers=3,
     tree={"/renamed": file("text\n", 0o640), "/in": folder(), "/in/dir": folder(), "/in/dir/a": file("text\n", 0o640), "/base/a": file("text\n", 0o640)},
     history=["* COPY a /renamed # buildkit", "* COPY a /in/dir/ # buildkit", "* COPY a /base # buildkit"])  # fmt: skip

case("copy-directory", "the contents of a directory; its own mode and owner are nobody's, those of its children stay", "FROM {base}\nCOPY d /new\nCOPY d /base/\nCOPY --chown=7:8 d /owned\n", TREE,
     tree={"/new": folder(), "/new/f": file("f", 0o4711), "/new/sub": folder(0o1770), "/new/sub/g": file("g", 0o600), "/new/link": link("sub/g"), "/new/abs": link("/etc/passwd"),
           "/base/f": file("f", 0o4711), "/base/sub": folder(0o1770), "/base/sub/g": file("g", 0o600), "/base/link": link("sub/g"), "/base/abs": link("/etc/passwd"),
           "/owned": folder(0o755, 7, 8), "/owned/f": file("f", 0o4711, 7, 8), "/owned/sub": folder(0o1770, 7, 8), "/owned/sub/g": file("g", 0o600, 7, 8), "/owned/link": link("sub/g", 7, 8),
           "/owned/abs": link("/etc/passwd", 7, 8)},
     differs={"buildah-1.28": "drops setuid, keeps the mode of the directory"})  # fmt: skip

case("copy-several", "several sources into a directory; names with patterns; a pattern that nothing has", "FROM {base}\nCOPY a* other /in/\nCOPY a? /in2/\nCOPY [a]1 /in3/\nCOPY b[[]1] /in4/\nCOPY none* other /in5/\n", TREE,
     tree={"/in": folder(), "/in/a1": "1", "/in/a2": "2", "/in/other": "other", "/in2": folder(), "/in2/a1": "1", "/in2/a2": "2", "/in3": folder(), "/in3/a1": "1", "/in4": folder(), "/in4/b[1]": "bracket",
           "/in5": folder(), "/in5/other": "other"}, differs={"buildah-1.28": "a pattern has to match as it is written"})  # fmt: skip

case("copy-json", "the JSON form has names with blanks", 'FROM {base}\nCOPY ["a b", "c d", "/with blank/"]\n', {"a b": "ab", "c d": "cd"}, tree={"/with blank": folder(), "/with blank/a b": "ab", "/with blank/c d": "cd"})

case("copy-within", ".. and / end at the context, a destination is relative to the directory of work", "FROM {base}\nWORKDIR /w\nCOPY ../../other /abs\nCOPY /other rel\nCOPY other ../up\nCOPY . ./all/\n", {"other": "o", "d/e": "e"},
     part={"/abs": "o", "/w/rel": "o", "/up": "o", "/w/all/other": "o", "/w/all/d": folder(), "/w/all/d/e": "e"})  # fmt: skip

case("copy-missing", "a name that is not there", "FROM {base}\nCOPY there /\nCOPY not/there /x\n", {"there": "t"}, error=r'"?/?not/there"?:? not found')
case("copy-several-to-file", "several sources without a slash at the end: the last one stays", "FROM {base}\nCOPY a1 a2 /x\n", TREE, tree={"/x": "2"}, differs={"buildah-1.28": "makes a directory"})
case("copy-file-over-directory", "a file does not take the place of a directory", "FROM {base}\nCOPY deep /base/\nCOPY sub /base/\n", {"deep": "x", "sub": "x"},
     error=r"cannot (copy|replace)|file exists|is a directory", differs={"buildah-1.28": "replaces it"})  # fmt: skip
case("copy-directory-over-file", "nor a directory that of a file", "FROM {base}\nCOPY src /base/\n", {"src/one/x": "x"}, error=r"cannot (copy|replace)|not a directory|non-directory", differs={"buildah-1.28": "replaces it"})

case("copy-links", "a source that is a link is followed within the context, links of the destination within the root",
     "FROM {base}\nCOPY to-file /f\nCOPY to-dir /d/\nCOPY a /to-outside/a\nCOPY a /to-nowhere/b\nCOPY out /o\n",
     {"a": "a", "real/x": "x", "to-file": link("a"), "to-dir": link("real"), "out": link("../../../../../../a")},
     part={"/f": "a", "/d/x": "x", "/base/sub/a": "a", "/not/there/b": "a", "/o": "a"})  # fmt: skip

case("copy-special", "a FIFO is copied as such between stages, sockets are not, hard links are one file",
     "FROM {base} AS one\nRUN mkdir /s && mkfifo -m 600 /s/fifo && mknod /s/null c 1 3 && echo x > /s/a && ln /s/a /s/b && ln -s a /s/l && chown 3:4 /s/a && chmod 2755 /s/a && chown 5:6 /s\nFROM {base}\nCOPY --from=one /s /s\n",
     part={"/s": folder(), "/s/a": file("x\n", 0o2755, 3, 4), "/s/l": link("a"), "/s/fifo": fifo(0o600)}, differs={"buildkit-20.10": "drops the FIFO", "buildah-1.28": "may make no devices"})  # fmt: skip

case("copy-hard-links", "hard links of a context are files with the same content", "FROM scratch\nCOPY . /\n", {".dockerignore": "Dockerfile\n.dockerignore\n", "a": "x", "b": hard("a"), "s": socket()}, part={"/a": "x", "/b": "x"},
     check=lambda r: ["the socket is there"] if "/s" in r.image.tree else [], differs={"buildkit-20.10": "copies the socket"})  # fmt: skip

case("copy-chown", "owners by the accounts of the stage, also of directories that are made", """FROM {base}
COPY --chown=1 a /1/a
COPY --chown=mail a /2/a
COPY --chown=mail:50 a /3/a
COPY --chown=:50 a /4/a
COPY --chown=eve:staff a /5/a
COPY --chown=12:wheel a /6/a
""", {"a": file("a", 0o644, 99, 99)}, tree={
    "/1": folder(0o755, 1, 1), "/1/a": file("a", 0o644, 1, 1), "/2": folder(0o755, 8, 12), "/2/a": file("a", 0o644, 8, 12), "/3": folder(0o755, 8, 50), "/3/a": file("a", 0o644, 8, 50),
    "/4": folder(0o755, 0, 50), "/4/a": file("a", 0o644, 0, 50), "/5": folder(0o755, 1001, 50), "/5/a": file("a", 0o644, 1001, 50), "/6": folder(0o755, 12, 10), "/6/a": file("a", 0o644, 12, 10)})  # fmt: skip

case("copy-chown-unknown", "an account that is not there", "FROM {base}\nCOPY --chown=nobody a /a\n", {"a": "a"}, error=r"unable to (find|convert) (user|uid/gid)|invalid user|no such user|nobody", differs={"buildkit-20.10": "gives it to root"})
case("copy-chown-user", "USER has no influence", "FROM {base}\nUSER bob\nCOPY a /new/a\n", {"a": "a"}, tree={"/new": folder(), "/new/a": "a"})

case("copy-chmod", "octal modes, for files and directories", "FROM {base}\nCOPY --chmod=0640 d /d\nCOPY --chmod=4711 a /a\n", {"d/f": "f", "d/sub/g": "g", "a": "a"},
     part={"/d/f": file("f", 0o640), "/d/sub": folder(0o640), "/d/sub/g": file("g", 0o640), "/a": file("a", 0o4711)},
     differs={"buildkit-20.10": "drops setuid"})  # fmt: skip
case("copy-chmod-symbolic", "and symbolic ones", "FROM {base}\nCOPY --chmod=u=rwX,go=rX d /d\nCOPY --chmod=g=u,o-r a /a\n", {"d/f": file("f", 0o600), "d/x": file("x", 0o700), "d/sub": folder(0o700), "a": file("a", 0o604)},
     part={"/d/f": file("f", 0o644), "/d/x": file("x", 0o755), "/d/sub": folder(0o755), "/a": file("a", 0o660)}, differs=OLD)  # fmt: skip
case("copy-chmod-invalid", "what is no mode", "FROM {base}\nCOPY --chmod=a a /a\n", {"a": "a"}, error=r"invalid chmod parameter: '?a'?|invalid mode", differs={"buildkit-20.10": "takes it for 0"})

case("copy-link", "a layer of its own: links of the destination are not followed", "FROM {base}\nCOPY --link a /to-dir/a\nCOPY --link --chown=1:2 d /base/\n", {"a": "a", "d/one": file("new", 0o600)},
     tree={"/to-dir": folder(), "/to-dir/a": "a", "/base": folder(0o755, 1, 2), "/base/one": file("new", 0o600, 1, 2)}, gone=[], differs=OLD)  # fmt: skip

case("copy-parents", "with the directories of the source, from the pivot on; ** goes deep", "FROM {base}\nCOPY --parents x/y/a x/b /p/\nCOPY --parents x/./y/a /q/\nCOPY --parents **/a /r/\n", {"x/y/a": "a", "x/b": "b", "a": "top"},
     tree={"/p": folder(), "/p/x": folder(), "/p/x/y": folder(), "/p/x/y/a": "a", "/p/x/b": "b", "/q": folder(), "/q/y": folder(), "/q/y/a": "a", "/r": folder(), "/r/x": folder(), "/r/x/y": folder(),
           "/r/x/y/a": "a", "/r/a": "top"}, differs=OLD)  # fmt: skip

case("copy-exclude", "but what the patterns say", "FROM {base}\nCOPY --exclude=*.o --exclude=sub d /d/\n", {"d/a.o": "o", "d/a.c": "c", "d/sub/x": "x", "d/e/b.o": "deep"},
     tree={"/d": folder(), "/d/a.c": "c", "/d/e": folder(), "/d/e/b.o": "deep"}, differs=OLD)  # fmt: skip

case("copy-times", "files and directories keep their times", "FROM {base}\nCOPY d /d\n", {"d/f": file("f", mtime=1_400_000_000), "d/s": folder(mtime=1_300_000_000)},
     part={"/d/f": file("f", mtime=1_400_000_000), "/d/s": folder(mtime=1_300_000_000)})  # fmt: skip

case("copy-names", "names of any bytes", b"FROM localhost/base\nCOPY . /d/\n", {".dockerignore": "Dockerfile\n", "tab\there": "1", "new\nline": "2", "ünï": "3", "-dash": "4", "x" * 255: "5", "\udcff\udcfe": "6"},
     part={"/d/tab\there": "1", "/d/new\nline": "2", "/d/ünï": "3", "/d/-dash": "4", "/d/" + "x" * 255: "5", "/d/\udcff\udcfe": "6"})  # fmt: skip

case("copy-xattr", "a capability stays", "FROM {base}\nCOPY cap /cap\n", {"cap": file("x", xattrs={"security.capability": bytes.fromhex("0100000200200000000000000000000000000000")})},
     check=lambda r: [] if r.image.tree["/cap"].xattrs.get("security.capability") else [f"has {r.image.tree['/cap'].xattrs}"],
     differs={"buildkit-20.10": "xattrs of contexts do not travel"})  # fmt: skip

case("copy-from", "of a stage by name in any case, by number, of an image", "FROM {base} AS First\nRUN echo 1 > /1\nFROM {base}\nRUN echo 2 > /2\nFROM scratch\nCOPY --from=FIRST /1 /1\nCOPY --from=1 /2 /2\nCOPY --from={base} /base/one /base/sub /3/\n",
     tree={"/1": "1\n", "/2": "2\n", "/3": folder(), "/3/one": file("one\n", 0o640, 5, 6), "/3/deep": "deep\n"}, differs={"buildah-1.28": "names of stages in their case"})  # fmt: skip
for name, text, wanted in (
    ("later", "COPY --from=later /a /a\nFROM {base} AS later\n", r"later"),
    ("own", "COPY --from=own /a /a\n", r"circular dependency|own"),
    ("number", "COPY --from=7 /a /a\n", r"invalid stage|7"),
    ("variable", "ARG X=one\nCOPY --from=$X /a /a\n", r"variable expansion is not supported|invalid reference|\$X"),
):
    case(f"copy-from-{name}", "a stage that cannot be", f"FROM {{base}} AS own\n{text}", options=["--target", "own"], error=wanted)

case("copy-directory-over-link", "a directory does not take the place of a link, a file does", "FROM {base}\nCOPY a /base/two\nCOPY link /\n", {"a": "new", "link/to-dir/x": "x"}, error=r"cannot copy to non-directory|cannot (copy|replace)",
     differs={"buildah-1.28": "replaces it"})  # fmt: skip
case("copy-file-over-link", "what is copied to a link goes where it leads", "FROM {base}\nRUN ln -s /base/one /link\nCOPY a /link\nCOPY d /to-dir\n", {"a": "new", "d/deep": "copied"},
     part={"/base/sub/deep": "copied"})  # fmt: skip
case("copy-empty", "a directory of nothing, of directories alone", "FROM {base}\nCOPY empty /empty\nCOPY nest /nest/\n", {"empty": folder(), "nest/a/b": folder(0o700)}, tree={"/empty": folder(), "/nest": folder(), "/nest/a": folder(), "/nest/a/b": folder(0o700)})

case("copy-chmod-parents", "directories that are made on the way are not open to more than the file", "FROM {base}\nCOPY --chmod=770 a /p/q/a\nCOPY --chmod=644 a /r/s/a\n", {"a": "a"},
     tree={"/p": folder(0o750), "/p/q": folder(0o750), "/p/q/a": file("a", 0o770), "/r": folder(), "/r/s": folder(), "/r/s/a": "a"},
     differs={"buildkit-20.10": "always 0755", "buildah-1.28": "always 0755"})  # fmt: skip
