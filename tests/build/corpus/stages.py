"""Stages: names, targets, what is reached, platforms; contexts that have names."""

from buildcorpus import case
from buildimage import file, folder

THREE = "FROM {base} AS one\nRUN echo 1 > /1\nFROM one AS two\nRUN echo 2 > /2\nFROM {base} AS unused\nRUN false\nFROM two\nRUN echo 3 > /3\n"

case("stages-chain", "a stage goes on from one before; what nothing needs does not run", THREE, tree={"/1": "1\n", "/2": "2\n", "/3": "3\n"}, layers=3, silent=["RUN false"])
case("stages-target", "--target by name in any case", THREE, options=["--target", "TWO"], tree={"/1": "1\n", "/2": "2\n"}, silent=["RUN echo 3"], differs={"buildah-1.28": "names of stages in their case"})
case("stages-target-number", "and by number", THREE, options=["--target", "0"], tree={"/1": "1\n"}, differs={"buildkit-20.10": "takes names alone", "buildah-1.28": "takes names alone"})
case("stages-target-unknown", "one that is not there", THREE, options=["--target", "twoo"], error=r'target stage "?twoo"? could not be found')
case("stages-unused-base", "a base that nothing needs is not even looked up", "FROM localhost/there-is-no-such-image AS unused\nFROM {base}\n", layers=0)
case("stages-base-missing", "one that is needed is", "FROM 127.0.0.1:1/there-is-no-such-image\nRUN true\n", error=r"127\.0\.0\.1:1/there-is-no-such-image")
case("stages-same-name", "the later of two", "FROM {base} AS x\nRUN echo 1 > /f\nFROM {base} AS x\nRUN echo 2 > /f\nFROM scratch\nCOPY --from=x /f /f\n", tree={"/f": "2\n"})
case("stages-names", "progress has the stage's name, or its number", "FROM {base} AS build\nRUN echo 1 > /1\nFROM {base}\nCOPY --from=build /1 /1\n", output=[r"\[build 2/2\] RUN echo 1", r"\[stage-1 2/2\] COPY --from=build /1 /1"])
case("stages-blank", "a base that is nothing", "ARG NONE\nFROM $NONE\n", error=r"base name \(\$NONE\) should not be blank")
case("stages-name-invalid", "a name that is none", "FROM {base} AS 1x\n", error=r"invalid name for build stage: \"?1x\"?", differs={"buildah-1.28": "takes it"})
case("stages-from-words", "FROM has one or three words", "FROM {base} as\n", error=r"FROM requires either one or three arguments")
case("stages-case", "a stage by its name in another case", "FROM {base} AS Foo\nRUN echo 1 > /1\nFROM Foo\n", tree={"/1": "1\n"}, differs={"buildkit-20.10": "takes it for an image"})
case("stages-platform", "another platform than the image's is said, a bad one refused", "FROM --platform=linux/nothing/at/all {base}\n", error=r"platform")
case("stages-scratch-empty", "a result of nothing", "FROM scratch\nLABEL a=b\n", layers=0, tree={}, config={"Labels": {"a": "b"}}, differs={"buildkit-20.10": "an image without layers cannot be saved"})
case("stages-copy-all", "of a whole root", "FROM {base} AS one\nRUN echo x > /x\nFROM scratch\nCOPY --from=one /base /x /\n", tree={"/one": file("one\n", 0o640, 5, 6), "/two": file("two\n", 0o4755), "/hard": "twice\n", "/hard2": "twice\n", "/sub": folder(), "/sub/deep": "deep\n", "/x": "x\n"})

NAMED = {"buildkit-20.10": "knows no contexts with names", "buildah-1.28": "its names do not override"}
case("named-directory", "a context that has a name, for COPY and for mounts", "FROM {base}\nCOPY --from=more f /f\nRUN --mount=from=more,target=/m cat /m/f > /g\n", {"other/f": "other"}, options=["--build-context", "more={dir}/context/other"],
     part={"/f": "other", "/g": "other"}, differs={"buildkit-20.10": NAMED["buildkit-20.10"]})  # fmt: skip
case("named-image", "an image takes the place of a base and of a stage", "FROM placeholder AS x\nRUN echo real > /1\nFROM {base} AS replaced\nRUN false\nFROM x\nCOPY --from=replaced /base/one /2\n",
     options=["--build-context", "placeholder=docker-image://{base}", "--build-context", "replaced=docker-image://{base}"], tree={"/1": "real\n", "/2": file("one\n", 0o640, 5, 6)}, differs={"buildkit-20.10": NAMED["buildkit-20.10"]})  # fmt: skip
case("named-target", "a target of several files built together is none of one build", "FROM {base}\nCOPY --from=one /1 /1\n", options=["--build-context", "one=target:two"], error=r"target", differs={})
