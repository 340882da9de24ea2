"""Rules that warn, and what is only asked for: --check, --call."""

from buildcorpus import case

OLD = {"buildkit-20.10": "has no rules", "buildah-1.28": "has no rules"}


def lint(rule, text, line=None, **more):
    """The check of the text tells the rule, and fails."""
    fields = {"options": ["--check"], "saved": False, "error": rule, "needs": ("imaged",), **more}
    case("lint-" + rule, f"{rule} is told", text, {"f": "f", "ignored": "i", ".dockerignore": "ignored\n"}, **fields)


lint("StageNameCasing", "FROM {base} AS Upper\n")
lint("FromAsCasing", "FROM {base} as lower\n")
lint("NoEmptyContinuation", "FROM {base}\nENV A=1 \\\n\n  B=2\n")
lint("ConsistentInstructionCasing", "FROM {base}\nenv A=1\nRUN true\n")
lint("DuplicateStageName", "FROM {base} AS x\nFROM {base} AS x\n")
lint("ReservedStageName", "FROM {base} AS scratch\n")
lint("JSONArgsRecommended", "FROM {base}\nCMD echo\n")
lint("MaintainerDeprecated", "FROM {base}\nMAINTAINER x\n")
lint("UndefinedArgInFrom", "FROM {base}:${NONE:-latest}\n")
lint("WorkdirRelativePath", "FROM scratch\nWORKDIR rel\n")
lint("UndefinedVar", "FROM {base}\nENV NAME=1\nLABEL a=$NAM\n", output=[r"(?s)UndefinedVar.*NAM"])
lint("MultipleInstructionsDisallowed", 'FROM {base}\nCMD ["a"]\nCMD ["b"]\n')
lint("LegacyKeyValueFormat", "FROM {base}\nENV a b\n")
lint("InvalidBaseImagePlatform", "FROM --platform=linux/arm64 {registry}/served\nCOPY f /f\n")
lint("RedundantTargetPlatform", "FROM --platform=$TARGETPLATFORM {base}\n")
lint("SecretsUsedInArgOrEnv", "FROM {base}\nENV DB_PASSWORD=1\n")
lint("InvalidDefaultArgInFrom", "ARG B\nFROM localhost/base:$B\n", error=r"InvalidDefaultArgInFrom|base")
lint("FromPlatformFlagConstDisallowed", "FROM --platform=linux/amd64 {base} AS x\nFROM x\n")
lint("CopyIgnoredFile", "FROM {base}\nCOPY ignored /x\n")
lint("ExposeProtoCasing", "FROM {base}\nEXPOSE 80/TCP\n")
lint("ExposeInvalidFormat", "FROM {base}\nEXPOSE 127.0.0.1:80:80\n")

case("lint-clean", "nothing to say", 'FROM {base} AS one\nRUN true\nCMD ["x"]\n', options=["--check"], saved=False, needs=("imaged",), check=lambda r: [] if "no warnings found" in (r.out + r.log).lower() else [r.out + r.log])
case("lint-skip", "# check=skip leaves rules out", "# check=skip=MaintainerDeprecated,JSONArgsRecommended\nFROM {base}\nMAINTAINER x\nCMD x\n", options=["--check"], saved=False, needs=("imaged",))
case("lint-error", "# check=error=true makes them errors of the build", "# check=error=true\nFROM {base}\nMAINTAINER x\n", error=r"lint violation found for rules?: MaintainerDeprecated", differs=OLD)
case("lint-warns", "a build tells them at its end", "FROM {base}\nMAINTAINER x\n", output=[r"1 warning found", r"- MaintainerDeprecated: .*\(line 2\)"], layers=0)
case("call-targets", "the stages", "# one is first\nFROM {base} AS one\nFROM one AS two\n", options=["--call", "targets"], saved=False, needs=("imaged",), check=lambda r: [] if "one" in r.out and "two" in r.out else [r.out + r.log])
case("call-outline", "arguments and secrets", "FROM {base}\n# VER is the version\nARG VER=1\nRUN --mount=type=secret,id=token true\n", options=["--call", "outline"], saved=False, needs=("imaged",),
     check=lambda r: [] if "VER" in r.out and "token" in r.out else [r.out + r.log])  # fmt: skip
