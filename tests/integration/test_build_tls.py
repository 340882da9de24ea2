"""Builds by a service that is reached over TCP, where both sides prove who they are: all that goes between
the two goes that way."""

import io
import os
import shutil
import signal
import stat
import subprocess
import tarfile
import unittest

import grpc
import rpc
from buildcall import BuildCall
from buildclient import Directory
from buildcorpus import steps_of
from buildworld import BuildCase, cgroups_with, ended, pidfds
from harness import free_port, program
from pki import CLIENT, Pki
from sshagent import KEY, AgentMixin

SECRET = "a-secret-that-goes-over-tls-0815"


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Tls(AgentMixin, BuildCase):
    def daemon_flags(self):
        pki = Pki(self.path("tls"))
        self.ca = pki.authority("ca")
        self.server, self.own = pki.issue("server", self.ca), pki.issue("client", self.ca, CLIENT)
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.anonymous = ("-H", self.address, "--tlsverify", "--tlscacert", self.ca[0])
        self.client_flags = (*self.anonymous, "--tlscert", self.own[0], "--tlskey", self.own[1])
        return ("--listen", self.address, "--tls-cert", self.server[0], "--tls-key", self.server[1], "--tls-client-ca", self.ca[0], "--grant", "admin:cn=client")

    def ctl(self, *args, **options):
        return self.daemon_.ctl(*self.client_flags, *args, **options)

    def test_contexts_and_outputs(self):
        self.directory()
        self.archives()

    def directory(self):
        files = {f"d/{i}": os.urandom(20000) for i in range(300)}
        context = self.context("FROM scratch\nCOPY d /d\nCOPY run link /\n", {**files, "big": os.urandom(8 << 20), "run": b"#!/bin/sh\n", ".dockerignore": b"big\n"})
        os.chmod(os.path.join(context, "run"), 0o755)
        os.symlink("run", os.path.join(context, "link"))
        self.build(context, "-o", f"type=local,dest={self.path('out')}")
        self.assertEqual(files, {f"d/{name}": read(self.path("out", "d", name)) for name in os.listdir(self.path("out", "d"))})
        self.assertTrue(os.stat(self.path("out", "run")).st_mode & stat.S_IXUSR)
        with open(os.path.join(context, "d", "7"), "wb") as file:
            file.write(b"other")
        said = self.build(context, "-o", f"type=local,dest={self.path('out')}").log
        self.assertEqual(b"other", read(self.path("out", "d", "7")))
        self.assertRegex(said, r"transferring context: \d+(\.\d+)?k?B ")

    def archives(self):
        context = io.BytesIO()
        data = os.urandom(5 << 20)
        with tarfile.open(fileobj=context, mode="w:gz") as archive:
            for name, body in (("Dockerfile", b"FROM scratch\nCOPY data /\n"), ("data", data)):
                info = tarfile.TarInfo(name)
                info.size = len(body)
                archive.addfile(info, io.BytesIO(body))
        command = [program("imagectl"), *self.client_flags, "build", "-q", "-o", "-", "-"]
        out = subprocess.run(command, input=context.getvalue(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(out)) as archive:
            self.assertEqual(data, archive.extractfile("data").read())

    def test_secrets(self):
        with open(self.path("secret"), "w", encoding="ascii") as file:
            file.write(SECRET)
        context = self.context(
            "FROM localhost/base\nRUN --mount=type=secret,id=f,required --mount=type=secret,id=e,env=TOKEN,required "
            'test "$TOKEN" = "$(cat /run/secrets/f)" && echo they-are-the-same\n'
        )
        said = self.build(context, "--secret", f"id=f,src={self.path('secret')}", "--secret", "id=e,env=OF_CLIENT", environment={"OF_CLIENT": SECRET}).log
        self.assertIn(" they-are-the-same\n", said)
        self.assertNotIn(SECRET, said + self.daemon_.log)

    @unittest.skipUnless(shutil.which("ssh-agent"), "openssh-client is not installed")
    def test_an_agent(self):
        agent = self.start_agent()
        tools, command = self.agent_tools()
        context = self.context(f"FROM scratch\nRUN --mount=from=tools,target=/t --mount=type=ssh,required {command}\n")
        self.assertIn(KEY, self.build(context, "--ssh", f"default={agent}", "--build-context", f"tools={tools}").log)

    def test_caches_and_images(self):
        context = self.context("FROM localhost/base\nCOPY a /\nRUN echo b > /b\n", {"a": b"a\n"})
        cache = self.path("cache")
        self.build(context, "-t", "x", "--cache-to", f"type=local,dest={cache},mode=max", "-o", f"type=oci,dest={self.path('x.tar')}")
        self.ctl("builder", "prune", "-af")
        states = steps_of(self.build(context, "-t", "x", "--cache-from", f"type=local,src={cache}").log)
        self.assertEqual({"[2/3] COPY a /": True, "[3/3] RUN echo b > /b": True}, {n: s for n, s in states.items() if n.startswith(("[2", "[3"))})
        self.assertIn("x", self.ctl("images", "--format", "{{.Repository}}").stdout.split())
        with tarfile.open(self.path("x.tar")) as archive:
            self.assertIn("index.json", archive.getnames())

    def test_a_build_that_is_given_up(self):
        for number, how in enumerate((signal.SIGINT, signal.SIGKILL)):
            marker = f"4{os.getpid()}{number}"
            process = self.start(self.context(f"FROM localhost/base\nRUN (trap '' TERM INT HUP; setsid sleep {marker}) & echo it-is-ready; sleep {marker}\n"))
            self.wait_line(process, " it-is-ready")
            self.wait_until(lambda m=marker: len(pidfds(f"sleep\0{m}")) >= 2, "both sleep")
            fds = pidfds(f"sleep\0{marker}")
            process.send_signal(how)
            process.communicate(timeout=60)
            self.assertTrue(ended(fds), "a process lives on")
            self.wait_until(lambda: not [p for p in cgroups_with(self.parent) if os.path.basename(p) != self.parent], "no cgroup stays")
        self.build(self.context("FROM localhost/base\nRUN echo next\n"))

    def test_who_builds(self):
        own, self.client_flags = self.client_flags, self.anonymous
        refused = self.build(self.context("FROM scratch\nCOPY Dockerfile /\n"), check=False)
        self.client_flags = own
        self.assertEqual(1, refused.returncode)
        self.assertEqual([], list(self.daemon_.client().ListBuilds().builds))
        credentials = grpc.ssl_channel_credentials(read(self.ca[0]), read(self.own[1]), read(self.own[0]))
        with rpc.Client(self.address, credentials) as client:
            call = BuildCall(client, "FROM scratch\nCOPY a /\n", Directory("id", {"a": b"x" * 100000}), tags=["y"])
            self.assertTrue(call.run().image_id)


if __name__ == "__main__":
    unittest.main()
