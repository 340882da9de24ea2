"""The format of Dockerfiles: lines, comments, directives, flags, JSON, here-documents."""

from buildcorpus import case
from buildimage import file, folder

HEREDOC = {"buildkit-20.10": "knows no here-documents", "buildah-1.28": "knows no here-documents"}

case(
    "format-lines",
    "keywords in any case, leading blanks, comments also within a continued line, empty lines within one, none at the end",
    """
   # a comment
\tfrom {base}
  eNv A=1 \\
  # within
    B=2 \\

    C=3
label x=y""",
    config={"Labels": {"x": "y"}, "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1", "B=2", "C=3"]},
)

case("format-bom-and-crlf", "a byte order mark before the first line, and lines that end as Windows ends them",
     b"\xef\xbb\xbfFROM localhost/base\r\nRUN echo a > /a && \\\r\n    echo b > /b\r\nENV X=1\r\n",
     tree={"/a": "a\n", "/b": "b\n"})

case("format-long-line", "a line of 300 KB",
     "FROM {base}\nLABEL long=" + "x" * 300_000 + "\n",
     check=lambda r: [] if len(r.image.config["config"]["Labels"]["long"]) == 300_000 else ["the label is cut"],
     differs={"buildkit-20.10": "takes 64 KiB a line", "buildah-1.28": "takes 64 KiB a line"})  # fmt: skip

case("format-continuation-at-end", "a continuation that nothing follows", "FROM {base}\nENV A=1 \\\n", layers=0)

case("format-escape", "# escape=` also escapes within words, and a backslash is one", "# escape=`\nFROM {base}\nENV A=a` b B=c:\\d `\n C=e\nRUN printf '%s' \"$A $B $C\" > /f\n", tree={"/f": "a b c:\\d e"},
     differs={"buildah-1.28": "expands words with a backslash all the same"})

case("format-escape-invalid", "only two characters escape", "# escape=x\nFROM {base}\n", error=r"invalid ESCAPE 'x'\. Must be ` or \\|invalid escape token 'x' does not match ` or \\")

case("format-escape-twice", "a directive is given once", "# escape=`\n# escape=`\nFROM {base}\n", error=r"only one escape parser directive can be used")

case("format-directive-late", "after a comment a directive is a comment", "# hello\n# escape=`\nFROM {base}\nENV A=1 \\\n B=2\n", layers=0, check=lambda r: [] if "B=2" in r.image.config["config"]["Env"] else ["no B"])

case("format-directive-unknown", "an unknown directive ends the directives", "# other=1\n# escape=`\nFROM {base}\nENV A=1 \\\n B=2\n", check=lambda r: [] if "B=2" in r.image.config["config"]["Env"] else ["no B"])

case("format-directive-blanks", "names of directives in any case, with blanks", "#   EsCaPe  =  `\nFROM {base}\nENV A=1 `\n B=2\n", check=lambda r: [] if "B=2" in r.image.config["config"]["Env"] else ["no B"])

case("format-empty", "a file of nothing but comments", "# nothing\n\n", error=r"file with no instructions|the Dockerfile .* cannot be empty")

case("format-no-stage", "an instruction before the first FROM", "ENV A=1\nFROM {base}\n", error=r"no build stage in current context",
     differs={"buildah-1.28": "drops the instruction"})

case("format-unknown-instruction", "the error has the place", "FROM {base}\nENV A=1\nRUNN echo\n",
     error=r"dockerfile parse error (on )?line 3: unknown instruction: RUNN")  # fmt: skip

case("format-unknown-flag", "a flag that the instruction has not", "FROM {base}\nCOPY --chwon=1 a /a\n", {"a": "a"}, error=r"unknown flag: --?chwon")

case("format-flags-end", "-- ends the flags", "FROM {base}\nCOPY -- --chown=1 /a\n", {"--chown=1": "odd"}, tree={"/a": "odd"})

case("format-flag-later", "what follows a word is none", "FROM {base}\nCOPY a --chown=1 /a/\n", {"a": "a", "--chown=1": "b"}, tree={"/a": folder(), "/a/a": "a", "/a/--chown=1": "b"})

case("format-json", "escapes of JSON are valid", 'FROM {base}\nCMD ["a\\u0062\\/c", "d\\te"]\n', config={"Cmd": ["ab/c", "d\te"]})

case("format-json-not", "what is not an array of strings is a command of the shell", "FROM {base}\nENTRYPOINT ['a']\nCMD [\"a\"] b\n",
     config={"Entrypoint": ["/bin/sh", "-c", "['a']"], "Cmd": ["/bin/sh", "-c", '["a"] b']}, differs={"buildkit-20.10": "takes the array alone", "buildah-1.28": "takes the array alone"})  # fmt: skip

case("format-json-numbers", "an array of something else is an error", 'FROM {base}\nCMD ["a", 1]\n', error="arrays must be comprised of strings only")

case("format-json-trailing-comma", "nor is one with a comma at its end", 'FROM {base}\nCMD ["a",]\n', config={"Cmd": ["/bin/sh", "-c", '["a",]']})

case("heredoc-run", "the body is the script", 'FROM {base}\nRUN <<EOF\necho "one $HOME" > /a\n# kept\necho two >> /a\nEOF\n', tree={"/a": "one /root\ntwo\n"}, layers=1, differs=HEREDOC)

case("heredoc-run-interpreter", "a body with #! is a program of its own", "FROM {base}\nRUN <<EOF\n#!/bin/awk -f\nBEGIN { print ARGC > \"/a\" }\nEOF\n", tree={"/a": "1\n"}, differs=HEREDOC)

case("heredoc-run-command", "with other words the shell interprets it", "FROM {base}\nRUN <<A cat > /a && <<-\"B\" cat > /b\none\nA\n\ttwo $HOME\n\tB\n", tree={"/a": "one\n", "/b": "two $HOME\n"}, differs=HEREDOC)

case("heredoc-copy", "files with the names of the words, expanded unless quoted", "FROM {base}\nENV V=value\nCOPY <<one <<-'two' /in/\na $V\none\n\tb $V\n\ttwo\nCOPY --chmod=600 --chown=1:2 <<x /x\ny\nx\n",
     tree={"/in": folder(), "/in/one": "a value\n", "/in/two": "b $V\n", "/x": file("y\n", 0o600, 1, 2)},
     history=["- ENV V=value", "* COPY <<one <<two /in/ # buildkit", "* COPY --chown=1:2 --chmod=600 <<x /x # buildkit"], differs=HEREDOC)  # fmt: skip

case("heredoc-json", "within the JSON form it is a word", 'FROM {base}\nRUN ["/bin/sh", "-c", "echo \'<<EOF\' > /a"]\n', tree={"/a": "<<EOF\n"})

case("heredoc-unterminated", "one that does not end", "FROM {base}\nRUN <<EOF\necho a\n", error=r"unterminated heredoc")

case("heredoc-onbuild", "ONBUILD takes one as well", "FROM {base} AS parent\nONBUILD RUN <<EOF\necho fired > /a\nEOF\nFROM parent\n", tree={"/a": "fired\n"}, differs=HEREDOC)

case("format-syntax", "the name of a language is read and changes nothing; a known one is silent", "# syntax=docker/dockerfile:1.7\n# escape=`\nFROM {base}\nENV A=1 `\n B=2\n", needs=("imaged",), silent=[r"WARN|warning"],
     check=lambda r: [] if "B=2" in r.image.config["config"]["Env"] else ["no B"])  # fmt: skip
case("format-syntax-other", "an unknown one is told", "# syntax=example.org/other/language\nFROM {base}\nRUN echo all the same > /1\n", needs=("imaged",), tree={"/1": "all the same\n"}, output=[r"example\.org/other/language"])
case("format-interpreter", "a first line with #! is a comment", "#!/usr/bin/env -S builder\nFROM {base}\nRUN echo 1 > /1\n", tree={"/1": "1\n"})
case("format-suggestion", "of a word that is nearly one", "FROM {base}\nRUUN echo\n", error=r"unknown instruction: RUUN.*did you mean RUN", output=[r"(?s)Dockerfile:2\n-+\n.*>>> RUUN echo"])
