"""What comes from elsewhere: ADD of addresses and repositories, contexts of both."""

import hashlib

from buildcorpus import Again, case
from buildimage import file, folder

MODIFIED = 1_400_000_000
OLD = {"buildkit-20.10": "its language is of 2020", "buildah-1.28": "knows no such flag"}
SUM = "sha256:" + hashlib.sha256(b"plain\n").hexdigest()

case("add-url", "a file of the last part's name, mode 0600, of the time that the server says", "FROM {base}\nADD {http}/plain.txt /\nADD {http}/plain.txt /in/\nADD --chown=5:6 {http}/plain.txt /named\n",
     tree={"/plain.txt": file("plain\n", 0o600, mtime=MODIFIED), "/in": folder(), "/in/plain.txt": file("plain\n", 0o600, mtime=MODIFIED), "/named": file("plain\n", 0o600, 5, 6)})  # fmt: skip
case("add-url-archive", "an archive stays one", "FROM {base}\nADD {http}/t.tar /\n", part={"/t.tar": file(None, 0o600)})
case("add-url-unpack", "unless it is to be unpacked", "FROM {base}\nADD --unpack=true {http}/t.tar /\n", part={"/in-tar": "x"}, differs=OLD)
case("add-url-mode", "--chmod", "FROM {base}\nADD --chmod=755 {http}/plain.txt /\n", tree={"/plain.txt": file("plain\n", 0o755)}, differs={"buildkit-20.10": "leaves the mode"})
case("add-url-checksum", "with the digest that it must have", f"FROM {{base}}\nADD --checksum={SUM} {{http}}/plain.txt /\n", tree={"/plain.txt": file("plain\n", 0o600)}, differs=OLD)
case("add-url-checksum-other", "and with another", f"FROM {{base}}\nADD --checksum={SUM[:-3]}abc {{http}}/plain.txt /\n", error=r"digest mismatch|invalid checksum|checksum")
case("add-url-missing", "one that is not there", "FROM {base}\nADD {http}/missing /\n", error=r"404")
case("add-url-cached", "what has not changed is not another", "FROM {base}\nADD {http}/plain.txt /\nRUN echo of-url > /r\n", again=[Again(cached=["ADD", "RUN echo of-url"])])

case("add-git", "a repository at its last commit, at another, a directory of it; without .git", "FROM {base}\nADD {git}/repo.git /a\nADD {git}/repo.git#first:sub /b\n",
     part={"/a": folder(), "/a/served": "last\n", "/a/sub": folder(), "/a/sub/served": file("below last\n", 0o755), "/b/served": file("below first\n", 0o755)},
     check=lambda r: [p for p in r.image.tree if "/.git" in p], differs={**OLD})  # fmt: skip
case("add-git-keep", "with it", "FROM {base}\nADD --keep-git-dir=true {git}/repo.git#first /a\n", part={"/a/served": "first\n", "/a/.git": folder()}, differs=OLD)
case("add-git-checksum", "a commit that it must be", "FROM {base}\nADD --checksum={first} {git}/repo.git#first /a\n", part={"/a/served": "first\n"}, differs=OLD)
case("add-git-checksum-other", "or not", "FROM {base}\nADD --checksum={first} {git}/repo.git#last /a\n", error=r"checksum|unknown flag")

case("context-url-tar", "a tar behind an address", None, how="{http}/context.tar.gz", part={"/served": "of a tar\n"})
case("context-url-dockerfile", "a Dockerfile alone", None, how="{http}/Remote", part={"/remote": "remote\n"})
case("context-git", "a repository", None, how="{git}/repo.git", part={"/served": "last\n"}, differs={"buildkit-20.10": "wants a branch of the name master"})
case("context-git-ref", "a commit and a directory of it", None, how="{git}/repo.git#first:sub", part={"/served": file("below first\n", 0o755)},
     differs={"buildkit-20.10": "knows no directories of them", "buildah-1.28": "takes the tag for a file"})  # fmt: skip
case("context-git-missing", "a branch that is not there", None, how="{git}/repo.git#nowhere", error=r"nowhere|[Rr]emote")

case("from-registry", "a base of a registry, by tag and by digest", "FROM {registry}/served AS one\nRUN echo 1 > /1\nFROM {registry}/served@{digest}\nCOPY --from=one /1 /1\nCOPY --from={registry}/served:latest /base/one /2\n", options=["--pull"],
     tree={"/1": "1\n", "/2": file("one\n", 0o640, 5, 6)}, differs={"buildah-1.28": "asks for TLS of a registry on loopback"})  # fmt: skip
case("from-registry-missing", "one that is not there", "FROM {registry}/nothing\n", error=r"/nothing(:latest)?: not found|not found|manifest unknown")
