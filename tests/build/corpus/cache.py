"""The cache: what is in the key of a step, and what is not."""

from buildcorpus import Again, case
from buildimage import file, folder

STEPS = "FROM {base}\nARG V=1\nCOPY d /d/\nCOPY f /f\nRUN echo $V {case} > /r\n"
FILES = {"d/x": "x", "d/y": "y", "f": "f", "unused": "u"}
ALL = ["COPY d /d/", "COPY f /f", "RUN echo"]


def steps(name):
    return STEPS.replace("{case}", name)


for name, about, change, cached, ran, options in (
    ("nothing", "nothing has changed", {}, ALL, [], []),
    ("mtime", "a time is no content", {"f": file("f", mtime=1_234_567_890), "d/x": file("x", mtime=5)}, ALL, [], []),
    ("owner", "nor is an owner", {"f": file("f", 0o644, 12, 34)}, ALL, [], []),
    ("unused", "a file that nobody copies", {"unused": "other", "new": "n"}, ALL, [], []),
    ("mode", "a mode is", {"f": file("f", 0o600)}, ALL[:1], ALL[1:], []),
    ("content", "content is, and what follows runs again", {"d/y": "Y"}, [], ALL, []),
    ("same-time", "also when the size and the time are the same", {"d/y": file("Z", mtime=1_500_000_000)}, [], ALL, []),
    ("added", "a new file in a directory is copied", {"d/z": "z"}, [], ALL, []),
    ("removed", "a file less", {"d/y": None}, [], ALL, []),
    ("top-mode", "the mode of the directory itself is nothing", {"d": folder(0o700)}, ALL, [], []),
    ("argument", "an argument that only RUN sees", {}, ALL[:2], ALL[2:], ["--build-arg", "V=2"]),
    ("unused-argument", "one that nothing sees", {}, ALL, [], ["--build-arg", "W=2"]),
    ("no-cache", "nothing is taken from it", {}, [], ALL, ["--no-cache"]),
    ("label", "a label comes after all", {}, ALL, [], ["--label", "a=b"]),
):
    case(f"cache-{name}", about, steps(name), FILES, again=[Again(change, cached, ran, options)],
         differs={"buildkit-20.10": "its client takes it for the same file"} if name == "same-time" else {})  # fmt: skip

case("cache-text", "comments, the order of flags and lines that are none are nothing; another command is one", "FROM {base}\nCOPY --chown=1 --chmod=600 f /f\nRUN echo text >/r\nRUN echo second >>/r\n", FILES,
     again=[Again(dockerfile="# a comment\nFROM {base}\n\nCOPY --chmod=600 \\\n  --chown=1 f /f\nLABEL a=b\nRUN echo text >/r\nRUN echo other >>/r\n", cached=["/f", "RUN echo text"], ran=["RUN echo other"])])  # fmt: skip

case("cache-env", "ENV is in the key of RUN, not in that of COPY; EXPOSE is in none", "FROM {base}\nENV A=1\nCOPY f /f\nRUN echo env >/r\n", FILES,
     again=[Again(dockerfile="FROM {base}\nENV A=1\nEXPOSE 80\nCMD x\nCOPY f /f\nRUN echo env >/r\n", cached=["COPY f", "RUN echo env"]),
            Again(dockerfile="FROM {base}\nENV A=2\nCOPY f /f\nRUN echo env >/r\n", cached=["COPY f"], ran=["RUN echo env"])])  # fmt: skip

case("cache-copy-back", "a stage that gives the same files again does not run what follows", "FROM {base} AS one\nCOPY f /f\nRUN cut -c1 /f > /cut\nFROM {base}\nCOPY --from=one /cut /cut\nRUN echo back > /r\n", {"f": "1a"},
     again=[Again({"f": "1b"}, cached=["COPY --from=one", "RUN echo back"], ran=["RUN cut"])])  # fmt: skip

case("cache-bind", "a read-only mount has what is mounted in the key", "FROM {base}\nRUN --mount=target=/c,source=d cat /c/x > /r\n", FILES,
     again=[Again({"unused": "other"}, cached=["RUN --mount"]), Again({"d/x": "new"}, ran=["RUN --mount"])])  # fmt: skip

case("cache-secret", "a secret is in no key", "FROM {base}\nRUN --mount=type=secret,id=s echo secret > /r\n", {**FILES, "token": "one"}, options=["--secret", "id=s,src={dir}/context/token"], again=[Again({"token": "two"}, cached=["RUN --mount"])])
case("cache-proxy", "nor is a proxy", "FROM {base}\nRUN echo proxied > /r\n", again=[Again(options=["--build-arg", "HTTP_PROXY=http://other:1"], cached=["RUN echo proxied"])])
case("cache-host", "the address of a host is not, its name is", "FROM {base}\nRUN echo hosts > /r\n", options=["--network", "none"], again=[Again(options=["--add-host", "x:10.0.0.1"], ran=["RUN echo hosts"]), Again(options=["--add-host", "x:10.0.0.2"], cached=["RUN echo hosts"])])

case("cache-failed", "a step that failed runs again, those before it do not", "FROM {base}\nRUN echo good > /1\nCOPY f /f\nRUN grep -q good /f\n", {"f": "good"},
     again=[Again({"f": "bad"}, error="exit code: 1"), Again({"f": "bad"}, error="exit code: 1"), Again({"f": "good again"}, cached=["RUN echo good"], ran=["COPY f", "RUN grep"])])  # fmt: skip

case("cache-filter", "--no-cache-filter for the stages that it names", "FROM {base} AS one\nRUN echo filter1 > /1\nFROM {base} AS two\nRUN echo filter2 > /2\nFROM scratch\nCOPY --from=one /1 /1\nCOPY --from=two /2 /2\n",
     again=[Again(options=["--no-cache-filter", "one"], cached=["RUN echo filter2"], ran=["RUN echo filter1"])], differs={"buildkit-20.10": "knows no such option", "buildah-1.28": "knows no such option"})  # fmt: skip

case("cache-link", "COPY --link does not depend on what is below it", "FROM {base}\nARG V=1\nRUN echo $V > /v\nCOPY --link f /f\n", FILES, again=[Again(options=["--build-arg", "V=2"], cached=["COPY --link"], ran=["RUN echo"])],
     differs={"buildkit-20.10": "its language is of 2020", "buildah-1.28": "knows no such flag"})  # fmt: skip

case("cache-refreshed", "another build without the cache makes its steps anew; what stood on them before is still there", "FROM {base}\nCOPY d /refreshed/\nRUN echo first > /r\n", FILES,
     again=[Again(options=["--no-cache"], dockerfile="FROM {base}\nCOPY d /refreshed/\nRUN echo second > /r\n", ran=["COPY d", "RUN echo second"]),
            Again(dockerfile="FROM {base}\nCOPY d /refreshed/\nRUN echo first > /r\n", cached=["COPY d", "RUN echo first"])])  # fmt: skip
