"""A real SSH agent with one key, and how a step lists what it has."""

import os
import shutil
import signal
import subprocess

from harness import SLOW

KEY = "key of a test (ED25519)"


class AgentMixin:
    def start_agent(self):
        """The path of its socket."""
        path = self.path("ssh-agent")
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
        self.addCleanup(agent.wait, 50 * SLOW)
        self.addCleanup(agent.send_signal, signal.SIGTERM)
        self.wait_until(lambda: os.path.exists(path), "the agent listens")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "key of a test", "-f", self.path("key")], check=True)
        subprocess.run(["ssh-add", "-q", self.path("key")], env={**os.environ, "SSH_AUTH_SOCK": path}, check=True)
        return path

    def agent_tools(self):
        """A directory to mount on /t, and the command of a RUN that lists the agent's keys."""
        directory = self.path("tools")
        os.mkdir(directory)
        linked = subprocess.run(["ldd", "/usr/bin/ssh-add"], check=True, stdout=subprocess.PIPE, text=True).stdout
        for path in ["/usr/bin/ssh-add", *(word for word in linked.split() if word.startswith("/"))]:
            shutil.copy(path, directory)
        loader = next(name for name in os.listdir(directory) if name.startswith("ld-"))
        return directory, f'["/t/{loader}", "--library-path", "/t", "/t/ssh-add", "-l"]'
