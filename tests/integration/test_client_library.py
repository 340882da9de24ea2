"""libimaged-client as its users get it: everything here is built against an installed
prefix, by its pkg-config file, and runs against a daemon."""

import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

import fixtures
from harness import BIN, ROOT, TestCase, free_port, skopeo

BUILD = os.path.dirname(BIN)
STRICT = "-Wall -Wextra -Wpedantic -Werror".split()
MANUAL = os.path.join(ROOT, "deploy", "man", "imaged-client.3")


def output(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def needs(*programs):
    for name in programs:
        if not shutil.which(name):
            raise unittest.SkipTest(f"{name} is not installed")


class Installed(TestCase):
    """A prefix of its own for the class, and compilers that know nothing but it."""

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(os.path.join(BUILD, "cmake_install.cmake")):
            raise unittest.SkipTest("the programs under test are not in a build directory")
        cls.prefix = tempfile.mkdtemp(prefix="imaged-prefix-")
        cls.addClassCleanup(shutil.rmtree, cls.prefix, ignore_errors=True)
        output("cmake", "--install", BUILD, "--prefix", cls.prefix)
        [pc] = glob.glob(os.path.join(cls.prefix, "lib", "**", "imaged-client.pc"), recursive=True)
        cls.pc = os.path.dirname(pc)
        cls.lib = os.path.dirname(cls.pc)
        cls.include = cls.config("--variable=includedir").strip()
        cls.protos = cls.config("--variable=protodir").strip()
        cls.examples = os.path.join(cls.prefix, "share", "doc", "imaged", "examples")
        cls.headers = sorted(os.path.relpath(h, cls.include) for h in glob.glob(f"{cls.include}/**/*.h", recursive=True))

    @classmethod
    def config(cls, *options):
        return output("pkg-config", *options, "imaged-client", env={**os.environ, "PKG_CONFIG_PATH": cls.pc})

    @classmethod
    def rpcs(cls):
        """(name, whether the client streams, whether the server does) of each, as functions spell it."""
        rpc = re.compile(r"rpc\s+(\w+)\s*\(\s*(stream\s+)?\w+\s*\)\s*returns\s*\(\s*(stream\s+)?\w+\s*\)")
        found = rpc.findall(read(cls.protos, "imaged/v1/image_service.proto"))
        return [(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower(), *streams) for name, *streams in found]

    def compile(self, source, name, *options, static=False, compiler="cc"):
        """A program of a file, as the README says to compile it; its path."""
        program = self.path(name)
        flags = ["-static"] if static else []
        config = self.config(*(["--static"] if static else []), "--cflags", "--libs").split()
        output(compiler, "-O1", "-g", *options, *flags, "-o", program, source, *config)
        return program

    def source(self, text, name="program.c"):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def run_program(self, *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **environment):
        return subprocess.run(
            command,
            env={**os.environ, "LD_LIBRARY_PATH": self.lib, **environment},
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            cwd=self.dir,
        )


class Files(Installed):
    def test_each_header_compiles_alone_in_c_and_cpp(self):
        self.assertIn("imaged/client.h", self.headers)
        self.assertIn("imaged/v1/image_service.h", self.headers)
        for header in self.headers:
            source = self.source(f"#include <{header}>\n")
            for compiler, language, standard in (("cc", "c", "c11"), ("c++", "c++", "c++11"), ("clang", "c", "c11")):
                if compiler == "clang" and not shutil.which(compiler):
                    continue
                with self.subTest(header=header, compiler=compiler):
                    output(compiler, "-x", language, f"-std={standard}", *STRICT, "-fsyntax-only", f"-I{self.include}", source)

    def test_headers_name_only_installed_files(self):
        for header in self.headers:
            for name in re.findall(r'#\s*include\s+["<]([^">]+)', read(self.include, header)):
                known = name in self.headers or name in ("protobuf-c/protobuf-c.h", "stddef.h", "stdint.h")
                self.assertTrue(known, f"{header} includes {name}")

    def macros(self, text):
        source = self.source(text)
        return {line.split()[1].split("(")[0] for line in output("cc", "-dM", "-E", f"-I{self.include}", source).splitlines()}

    def test_headers_define_only_prefixed_macros(self):
        given = self.macros("#include <stddef.h>\n#include <stdint.h>\n#include <protobuf-c/protobuf-c.h>\n")
        ours = self.macros("#include <imaged/client.h>\n") - given
        self.assertIn("IMAGED_ERROR_INIT", ours)
        allowed = r"IMAGED_|GOOGLE__PROTOBUF__|GENERATED_imaged|PROTOBUF_C_(imaged|google)_"
        self.assertEqual([], [name for name in ours if not re.match(allowed, name)])

    def test_program_may_use_any_name_of_ours(self):
        """Names of proto/runtime and client/lib, as the program's own, exported ones."""
        functions = "fail failv fail_errno err_wrap format wipe freep buf_free arena_init utf8_valid codec_unpack".split()
        functions += "cancel_fire rpc_call_unary rpc_channel_open rpc_stream_next client_unary google__rpc__status__init".split()
        source = self.source(
            "#include <imaged/client.h>\n"
            "enum code { OK = 7, E_INVALID, E_NO_DAEMON, ERR_INIT };\n"
            "struct err { enum code c; };\nstruct bytes { int b; };\nstruct buf { int b; };\n"
            "enum { UNUSED, TAKE, CLEANUP, ARRAY_LEN };\n"
            + "".join(f"int {name}(void);\nint {name}(void) {{ return 1; }}\n" for name in functions)
            + "int main(void)\n{\n"
            "\tstruct imaged_channel_options options = IMAGED_CHANNEL_OPTIONS_INIT;\n"
            "\tstruct imaged_error error = IMAGED_ERROR_INIT;\n\tstruct imaged_channel *channel;\n"
            '\toptions.address = "unix:///nowhere/imaged.sock";\n'
            "\tif (imaged_channel_open(&options, &channel, &error) < 0)\n\t\treturn 1;\n"
            "\tif (imaged_channel_connect(channel, 0, &error) != -IMAGED_UNAVAILABLE)\n\t\treturn 2;\n"
            "\timaged_channel_close(channel);\n\treturn 0;\n}\n"
        )
        for static in (False, True):
            # Exported, so that a library that took them from the program would show it.
            program = self.compile(source, "names", "-std=c11", *STRICT, *([] if static else ["-rdynamic"]), static=static)
            self.assertEqual(0, self.run_program(program).returncode, f"static: {static}")

    def declared(self):
        names = set()
        for header in self.headers:
            text = without_comments(read(self.include, header))
            names |= set(re.findall(r"\b((?:imaged|google)_\w+)\s*\(", text))
            names |= set(re.findall(r"\b(\w+__descriptor);", text))
        return names

    def test_exported_symbols_are_those_of_the_headers(self):
        declared = self.declared()
        self.assertIn("imaged_pull_next", declared)
        self.assertIn("imaged__v1__pull_request__descriptor", declared)
        for options, name in ((["-D"], "libimaged-client.so"), (["-g"], "libimaged-client.a")):
            lines = output("nm", "--defined-only", *options, os.path.join(self.lib, name)).splitlines()
            found = {f[2].split("@")[0] for f in (line.split() for line in lines) if len(f) == 3 and f[1] != "A"}
            self.assertEqual(declared, found, name)

    def test_each_rpc_has_its_functions(self):
        calls = self.rpcs()
        self.assertGreater(len(calls), 12)
        declared = self.declared()
        for name, sends, receives in calls:
            lower = "imaged_" + name
            verbs = ["_open", "_next", "_cancel", "_free"] if sends or receives else ["", "_free"]
            verbs += ["_send", "_close_send"] if sends else []
            self.assertEqual([], [lower + verb for verb in verbs if lower + verb not in declared])

    def test_library_has_a_versioned_soname_and_loads_grpc(self):
        file = os.path.join(self.lib, "libimaged-client.so")
        self.assertEqual("libimaged-client.so.0", os.readlink(file))
        version = self.config("--modversion").strip()
        self.assertEqual(f"libimaged-client.so.{version}", os.readlink(file + ".0"))
        dynamic = output("readelf", "-dW", file)
        self.assertRegex(dynamic, r"SONAME.*\[libimaged-client\.so\.0\]")
        for needed in ("libgrpc", "libprotobuf-c"):
            self.assertRegex(dynamic, rf"NEEDED.*\[{needed}\.so")
        self.assertNotRegex(dynamic, "RPATH|RUNPATH|TEXTREL")

    def test_program_does_not_start_with_messages_of_another_layout(self):
        program = self.compile(os.path.join(self.examples, "pull.c"), "pull")
        os.makedirs(self.path("other"))
        with open(os.path.join(self.lib, "libimaged-client.so.0"), "rb") as file:
            data, changed = re.subn(rb"(Imaged__V1__PullRequest_)[0-9a-f]{8}", rb"\g<1>00000000", file.read())
        self.assertGreater(changed, 0)
        with open(self.path("other", "libimaged-client.so.0"), "wb") as file:
            file.write(data)
        done = self.run_program(program, LD_LIBRARY_PATH=self.path("other"))
        self.assertNotEqual(0, done.returncode)
        self.assertRegex(done.stderr, r"version `Imaged__V1__PullRequest_\w+' not found")


class Manual(Installed):
    def example(self):
        """The program of the manual page, as nroff shows it."""
        [text] = re.findall(r"^\.EX\n(.*?)^\.EE\n", read(MANUAL), flags=re.S | re.M)
        return text.replace("\\-", "-").replace("\\e", "\\")

    def test_renders_without_warnings(self):
        needs("groff")
        installed = os.path.join(self.prefix, "share", "man", "man3", "imaged-client.3")
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", installed], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertIn("imaged_channel_open", re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout))
        self.assertRegex(read(installed).splitlines()[0], re.escape(f"imaged {self.config('--modversion').strip()}"))

    def test_names_what_the_headers_declare(self):
        text = read(MANUAL).replace("\\-", "-")
        names = without_comments("".join(read(self.include, header) for header in self.headers))
        for name in sorted(set(re.findall(r"\b(?:imaged|IMAGED)_[A-Za-z]\w+", text)) - {"IMAGED_HOST"}):
            self.assertRegex(names, rf"\b{name}\b", f"{name} is in the manual only")
        for name in re.findall(r"\b(imaged_\w+)\(", without_comments(read(self.include, "imaged/channel.h"))):
            self.assertIn(name, text)

    def test_its_example_and_that_of_the_readme_run(self):
        self.imaged = self.daemon()
        image = f"{fixtures.registry().host}/busybox:oci-gzip"
        self.imaged.ctl("pull", image)
        self.imaged.ctl("tag", image, "busybox")
        for name, text in (("manual", self.example()), ("readme", self.readme_c())):
            program = self.compile(self.source(text), name, "-std=c11", *STRICT)
            done = self.run_program(program, IMAGED_HOST=self.imaged.address)
            self.assertEqual((0, ""), (done.returncode, done.stderr), name)
            self.assertIn("busybox", done.stdout, name)
            done = self.run_program(program, IMAGED_HOST="unix:///nowhere/imaged.sock")
            self.assertEqual((1, ""), (done.returncode, done.stdout), name)
            self.assertIn("DAEMON_UNREACHABLE", done.stderr, name)

    def readme_c(self):
        """The program that begins with the library's #include."""
        lines = read(ROOT, "README.md").split("\n")
        begin = lines.index("    #include <imaged/client.h>")
        return "".join(line[4:] + "\n" for line in lines[begin : lines.index("    }", begin) + 1])


class Examples(Installed):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.host = fixtures.registry().host

    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.image = f"{self.host}/busybox:oci-gzip"

    def compile_example(self, name, *flags, **options):
        return self.compile(os.path.join(self.examples, f"{name}.c"), name, "-std=c11", *STRICT, *flags, **options)

    def check_pull(self, *command, **environment):
        """A pull that fetches, one that finds all, one that fails, one without daemon."""
        digest = self.layer()
        done = self.run_program(*command, self.image, self.imaged.address, **environment)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertRegex(done.stdout, rf"(?m)^{digest} complete +\d+ of \d+ bytes$")
        image_id = self.imaged.client().InspectImage(image=self.image).image.id
        self.assertRegex(done.stdout, rf"(?m)^{re.escape(self.image)} is {image_id}$")
        again = self.run_program(*command, self.image, self.imaged.address, **environment)
        self.assertEqual(f"{self.image} is {image_id}", again.stdout.splitlines()[-1])
        missing = self.run_program(*command, f"{self.host}/busybox:missing", self.imaged.address, **environment)
        self.assertEqual((1, ""), (missing.returncode, missing.stdout))
        self.assertRegex(missing.stderr, r"^pull: .*busybox:missing.* \(MANIFEST_UNKNOWN\)\n$")
        alone = self.run_program(*command, self.image, f"unix://{self.path('nowhere')}", **environment)
        self.assertEqual((1, ""), (alone.returncode, alone.stdout))
        self.assertRegex(alone.stderr, r"^pull: .+ \((DAEMON_UNREACHABLE|UNAVAILABLE)\)\n$")

    def layer(self):
        import json

        return json.loads(fixtures.inspect_raw(self.image))["layers"][0]["digest"][:19]

    def test_pull_in_c(self):
        program = self.compile_example("pull")
        self.assertLessEqual(len(read(self.examples, "pull.c").splitlines()), 40)
        linked = self.run_program("ldd", program).stdout
        self.assertIn(f"libimaged-client.so.0 => {self.lib}/", linked)
        self.check_pull(program)

    def test_pull_in_c_with_the_archive(self):
        program = self.compile_example("pull", static=True)
        self.assertNotIn("NEEDED", output("readelf", "-d", program))
        self.check_pull(program)

    def test_pull_in_c_with_the_archive_and_shared_grpc(self):
        os.makedirs(self.path("archive"))
        shutil.copy(os.path.join(self.lib, "libimaged-client.a"), self.path("archive"))
        flags = self.config("--static", "--cflags", "--libs").replace(f"-L{self.lib} ", f"-L{self.path('archive')} ")
        program = self.path("pull")
        output("cc", "-o", program, os.path.join(self.examples, "pull.c"), *flags.split())
        self.assertNotIn("libimaged-client", output("readelf", "-d", program))
        self.assertIn("libgrpc.so", output("readelf", "-d", program))
        self.check_pull(program)

    def test_pull_in_cpp(self):
        """A C++ program is the same, with the messages' strings not const."""
        program = self.compile(
            self.source(
                "#include <imaged/client.h>\n#include <cstdio>\n#include <string>\n"
                "int main(int, char **argv)\n{\n"
                "\timaged_channel_options options = IMAGED_CHANNEL_OPTIONS_INIT;\n"
                "\timaged_call_options call = IMAGED_CALL_OPTIONS_INIT;\n"
                "\timaged_error error = IMAGED_ERROR_INIT;\n"
                "\timaged_channel *channel = nullptr;\n\timaged_pull_stream *stream = nullptr;\n"
                "\tImaged__V1__PullRequest request = IMAGED__V1__PULL_REQUEST__INIT;\n"
                "\tconst Imaged__V1__PullEvent *event = nullptr;\n\tstd::string id;\n\tint r;\n\n"
                "\trequest.reference = argv[1];\n\toptions.address = argv[2];\n\tcall.timeout_ms = 60000;\n"
                "\tr = imaged_channel_open(&options, &channel, &error);\n"
                "\tif (r == 0)\n\t\tr = imaged_pull_open(channel, &call, &request, &stream, &error);\n"
                "\twhile (r >= 0 && (r = imaged_pull_next(stream, &event, &error)) > 0)\n"
                "\t\tif (event->event_case == IMAGED__V1__PULL_EVENT__EVENT_DONE)\n\t\t\tid = event->done->image_id;\n"
                '\tstd::printf("%s%s\\n", id.c_str(), error.reason);\n'
                "\timaged_pull_free(stream);\n\timaged_channel_close(channel);\n\treturn r < 0;\n}\n",
                "pull.cc",
            ),
            "pull", "-std=c++11", *STRICT, compiler="c++",
        )
        done = self.run_program(program, self.image, self.imaged.address)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertEqual(self.imaged.client().InspectImage(image=self.image).image.id, done.stdout.strip())

    def test_pull_leaks_nothing(self):
        needs("valgrind")
        program = self.compile_example("pull")
        suppressions = os.path.join(ROOT, "tests", "valgrind.supp")
        valgrind = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"]
        valgrind += [f"--suppressions={suppressions}", program]
        for image, status in ((self.image, 0), (f"{self.host}/busybox:missing", 1)):
            done = self.run_program(*valgrind, image, self.imaged.address)
            self.assertEqual(status, done.returncode, done.stderr)

    def test_save_in_c(self):
        program = self.compile_example("save")
        self.imaged.ctl("pull", self.image)
        with open(self.path("saved.tar"), "wb") as file:
            done = self.run_program(program, self.image, stdout=file, IMAGED_HOST=self.imaged.address)
        size = os.path.getsize(self.path("saved.tar"))
        self.assertEqual((0, f"saved {size} bytes\n"), (done.returncode, done.stderr))
        with tarfile.open(self.path("saved.tar")) as archive:
            names = archive.getnames()
        for name in ("oci-layout", "index.json", "manifest.json"):
            self.assertIn(name, names)
        saved = skopeo("inspect", "--raw", "--config", f"docker-archive:{self.path('saved.tar')}")
        self.assertEqual(fixtures.config_raw(self.image), saved)
        missing = self.run_program(program, "nobody/has:this", IMAGED_HOST=self.imaged.address)
        self.assertEqual((1, ""), (missing.returncode, missing.stdout))
        self.assertEqual("save: reference does not exist (NO_SUCH_IMAGE)\n", missing.stderr)
        with open("/dev/full", "wb") as full:
            done = self.run_program(program, self.image, stdout=full, IMAGED_HOST=self.imaged.address)
        self.assertEqual((1, "save: cannot write: No space left on device\n"), (done.returncode, done.stderr))

    def run_load(self, program, path):
        source = os.open(path, os.O_RDONLY)
        try:
            return self.run_program(program, stdin=source, IMAGED_HOST=self.imaged.address)
        finally:
            os.close(source)

    def test_load_in_c(self):
        program, archive = self.compile_example("load"), self.path("archive.tar")
        self.imaged.ctl("pull", self.image)
        image_id = self.imaged.client().InspectImage(image=self.image).image.id
        skopeo("copy", "--src-tls-verify=false", f"docker://{self.image}", f"docker-archive:{archive}:loaded/from:c")
        done = self.run_load(program, archive)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertRegex(done.stdout, rf"(?m)^loaded/from:c is {image_id}$")
        self.assertEqual(image_id, self.imaged.client().InspectImage(image="loaded/from:c").image.id)
        self.imaged.ctl("rmi", "loaded/from:c")
        with open(archive, "r+b") as file:
            file.truncate(os.path.getsize(archive) // 2)
        for broken, message in ((archive, r"^load: .+ \([A-Z_]+\)\n$"), (self.dir, r"^load: cannot read: Is a directory\n")):
            done = self.run_load(program, broken)
            self.assertEqual((1, ""), (done.returncode, done.stdout))
            self.assertRegex(done.stderr, message)
        self.assertEqual([self.image], [name for image in self.imaged.client().images() for name in image.repo_tags])

    def test_load_in_c_without_a_thread(self):
        """A failure has a reason, also one of the program's own."""
        self.source("#include <errno.h>\nint no_thread(void);\nint no_thread(void) { return EAGAIN; }\n", "no_thread.c")
        program = self.compile_example("load", "-Dpthread_create=no_thread", self.path("no_thread.c"))
        done = self.run_program(program, IMAGED_HOST=self.imaged.address)
        self.assertEqual((1, "load: cannot start a thread (NO_THREAD)\n"), (done.returncode, done.stderr))

    def check_load(self, *command, **environment):
        """A load that brings something, one of half an archive, one of no file, one without daemon."""
        archive = self.path("archive.tar")
        skopeo("copy", "--src-tls-verify=false", f"docker://{self.image}", f"docker-archive:{archive}:loaded/from:here")
        done = self.run_program(*command, archive, self.imaged.address, **environment)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        image = self.imaged.client().InspectImage(image="loaded/from:here")
        size = os.path.getsize(archive)
        self.assertRegex(done.stdout, rf"(?m)^{image.layers[0].diff_id[:19]} (\d+) of \1 bytes$")
        self.assertRegex(done.stdout, rf"(?m)^loaded/from:here is {image.image.id}$")
        self.assertRegex(done.stdout.splitlines()[-1], r"^\d{6,} bytes were new$")
        with open(archive, "r+b") as file:
            file.truncate(size // 2)
        for path, address, text in (
            (archive, self.imaged.address, r"^load: Error processing tar file.*: unexpected EOF \(FAILED_PRECONDITION\)\n$"),
            (self.path("nosuch"), self.imaged.address, r"^load: .*[Nn]o such file.*\n$"),
            (archive, f"unix://{self.path('nowhere')}", r"^load: .+ \(UNAVAILABLE\)\n$"),
        ):
            done = self.run_program(*command, path, address, **environment)
            self.assertEqual((1, ""), (done.returncode, done.stdout))
            self.assertRegex(done.stderr, text)

    def python(self, name):
        """The command of an example, beside the messages that it needs."""
        shutil.copy(os.path.join(self.examples, name), self.dir)
        files = sorted(glob.glob(f"{self.protos}/imaged/v1/*.proto") + glob.glob(f"{self.protos}/google/rpc/*.proto"))
        output("protoc", "-I", self.protos, f"--python_out={self.dir}", *files)
        return [sys.executable, self.path(name)], {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ""}

    def test_pull_in_python(self):
        command, environment = self.python("pull.py")
        self.check_pull(*command, **environment)

    def test_load_in_python(self):
        command, environment = self.python("load.py")
        self.check_load(*command, **environment)

    def node(self, name):
        """The command of an example, beside the packages that it needs."""
        needs("node", "npm")
        for package in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(ROOT, "tests", "conformance", "node", package), self.dir)
        made = self.run_program("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
        if made.returncode != 0:
            self.skipTest("npm cannot install @grpc/grpc-js")
        shutil.copy(os.path.join(self.examples, name), self.dir)
        return ["node", self.path(name)], {"IMAGED_PROTOS": self.protos}

    def test_pull_in_node(self):
        command, environment = self.node("pull.mjs")
        self.check_pull(*command, **environment)

    def test_load_in_node(self):
        command, environment = self.node("load.mjs")
        self.check_load(*command, **environment)

    def test_reason_that_the_library_does_not_know_yet_is_passed_on(self):
        import grpc

        from rpc import _INFO, _STATUS

        def pull(_, context):
            status = _STATUS(code=9, message="not today")
            status.details.add().Pack(_INFO(reason="NEWER_THAN_THIS", domain="imaged.dev"))
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today")

        handler = grpc.unary_stream_rpc_method_handler(pull)
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("imaged.v1.ImageService", {"Pull": handler}),))
        port = free_port()
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        try:
            done = self.run_program(self.compile_example("pull"), self.image, f"tcp://127.0.0.1:{port}")
        finally:
            server.stop(0).wait()
        self.assertEqual((1, "pull: not today (NEWER_THAN_THIS)\n"), (done.returncode, done.stderr))


class Calls(Installed):
    """The programs of tests/client."""

    def setUp(self):
        super().setUp()
        self.imaged, self.host = self.daemon(), fixtures.registry().host
        self.image = f"{self.host}/busybox:oci-gzip"

    def compile_test(self, name):
        return self.compile(os.path.join(ROOT, "tests", "client", f"{name}.c"), name, "-std=c11", *STRICT)

    def test_each_rpc_answers(self):
        done = self.run_program(self.compile_test("each_rpc"), self.image, self.host, IMAGED_HOST=self.imaged.address)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertEqual(sorted(name for name, *_ in self.rpcs()), sorted(done.stdout.split()))

    def test_eight_threads_share_a_channel(self):
        self.imaged.ctl("pull", self.image)
        done = self.run_program(self.compile_test("threads"), self.image, IMAGED_HOST=self.imaged.address)
        self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_neither_leaks_nor_touches_what_is_not_its_own(self):
        needs("valgrind")
        valgrind = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"]
        valgrind += ["--show-leak-kinds=definite", f"--suppressions={os.path.join(ROOT, 'tests', 'valgrind.supp')}"]
        for name, arguments in (("each_rpc", [self.image, self.host]), ("threads", [self.image])):
            done = self.run_program(*valgrind, self.compile_test(name), *arguments, IMAGED_HOST=self.imaged.address)
            self.assertEqual((0, ""), (done.returncode, done.stderr), name)
