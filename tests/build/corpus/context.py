"""Contexts: what they are made of, what .dockerignore leaves out of them, where the Dockerfile is."""

from buildcorpus import case
from buildimage import file, folder

FILES = {"a.txt": "a", "b.log": "b", "d/a.txt": "da", "d/b.log": "db", "d/e/a.txt": "dea", "d/e/f/x": "x", "keep/y": "y", "Makefile": "m"}
OURS = ("Dockerfile", ".dockerignore")


def ignoring(name, about, patterns, *kept, **more):
    """The case that has nothing but these files (and the directories that they are in) in its context."""
    tree = {}
    for path in kept:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            tree["/c/" + "/".join(parts[:depth])] = folder()
        tree["/c/" + path] = FILES[path]
    for path in more.pop("folders", ()):
        tree["/c/" + path] = folder()
    case(f"ignore-{name}", about, "FROM scratch\nCOPY . /c/\n", {**FILES, ".dockerignore": patterns + "\nDockerfile\n.dockerignore\n"}, tree={"/c": folder(), **tree}, **more)


ignoring("names", "a name is one at the root; a comment, blanks and a slash before it", "# a.txt\n  a.txt  \n/b.log\n\n", "d/a.txt", "d/b.log", "d/e/a.txt", "d/e/f/x", "keep/y", "Makefile")
ignoring("patterns", "* within a name, ? and [ ] for one character", "*.log\nd/*.txt\nM?kefil[a-f]\n", "a.txt", "d/b.log", "d/e/a.txt", "d/e/f/x", "keep/y")
ignoring("deep", "** through all directories", "**/*.txt\n**/f\n", "b.log", "d/b.log", "keep/y", "Makefile", folders=("d/e",))
ignoring("directory", "a directory with all that is in it", "d\n", "a.txt", "b.log", "keep/y", "Makefile")
ignoring("exception", "! brings back; the last line that matches decides", "*\n!d/e/a.txt\n!keep\nkeep/y\n!keep/y\n", "d/e/a.txt", "keep/y")
ignoring("exception-order", "an exception before it has no effect", "!a.txt\n*.txt\n!d\n", "b.log", "d/a.txt", "d/b.log", "d/e/a.txt", "d/e/f/x", "keep/y", "Makefile")
ignoring("cleaned", "paths are cleaned, a byte order mark is dropped, a dot is nothing", "\ufeff./d/../a.txt\n.\nkeep/\n", "b.log", "d/a.txt", "d/b.log", "d/e/a.txt", "d/e/f/x", "Makefile", differs={"buildah-1.28": "keeps the byte order mark"})

case("ignore-of-dockerfile", "<Dockerfile>.dockerignore has precedence", "FROM scratch\nCOPY . /c/\n", {"a": "a", "b": "b", "x/.dockerignore": "", "my.Dockerfile.dockerignore": "b\n*ockerfile*\n.dockerignore\nx\n", ".dockerignore": "a\n"},
     file_name="my.Dockerfile", tree={"/c": folder(), "/c/a": "a"})  # fmt: skip

case("ignore-tells", "the error says that it is ignored", "FROM {base}\nCOPY a /\n", {"a": "a", ".dockerignore": "a\n"}, error=r"/?a\"?:? not found", check=lambda r: [] if ".dockerignore" in r.log else ["no word of .dockerignore"])

case("context-ignored-dockerfile", "a Dockerfile that is ignored is used all the same", "FROM {base}\nCOPY . /c/\n", {"a": "a", ".dockerignore": "Dockerfile\n.dockerignore\n"}, tree={"/c": folder(), "/c/a": "a"})

case("context-file-elsewhere", "-f names it, relative to where the client is", None, {"sub/My.file": file(b"FROM localhost/base\nCOPY a /a\n"), "a": "a"}, options=["-f", "{dir}/context/sub/My.file"], tree={"/a": "a"})
case("context-file-outside", "it may be outside of the context", None, {"../Outside": file(b"FROM localhost/base\nCOPY a /a\n"), "a": "a"}, options=["-f", "{dir}/Outside"], tree={"/a": "a"})
case("context-lower-case", "dockerfile, where there is no Dockerfile", None, {"dockerfile": file(b"FROM localhost/base\nCOPY a /a\n"), "a": "a"}, tree={"/a": "a"}, differs={"buildah-1.28": "knows no such name"})
case("context-no-dockerfile", "none", None, {"a": "a"}, error=r"failed to read dockerfile: open Dockerfile: no such file or directory|no such file")

case("context-stdin-dockerfile", "a Dockerfile on standard input, without a context", "FROM {base}\nRUN echo 1 > /1\n", how="dockerfile", tree={"/1": "1\n"})
case("context-stdin-tar", "a tar on standard input, whose owners stay", "FROM {base}\nCOPY a d /c/\n", {"a": file("a", 0o600, 5, 6), "d/b": "b"}, how="tar", tree={"/c": folder(), "/c/a": file("a", 0o600, 5, 6), "/c/b": "b"}, differs={"buildah-1.28": "gives them to root"})  # fmt: skip
case("context-stdin-tar-gz", "compressed", "FROM {base}\nCOPY a /a\n", {"a": "a"}, how="tar.gz", tree={"/a": "a"})
case("context-stdin-tar-xz", "or in another way", "FROM {base}\nCOPY a /a\n", {"a": "a", ".dockerignore": "b\n"}, how="tar.xz", tree={"/a": "a"})
