"""nginx in front of something, without a service and as whoever runs the tests.

    Nginx(directory, cert, "location / { proxy_pass http://127.0.0.1:5000; }")

Listens on a port of 127.0.0.1 with TLS and HTTP/2.
"""

import atexit
import os
import signal
import subprocess

from harness import free_port, wait_listening
from pki import Authority

CONFIGURATION = """
daemon off; master_process on; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
  log_format protocol '$server_protocol'; access_log {directory}/access.log protocol; client_max_body_size 0; proxy_buffering off; proxy_request_buffering off;
  client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2; fastcgi_temp_path {directory}/t3;
  uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
  server {{
    listen 127.0.0.1:{port} ssl http2;
    ssl_certificate {cert}; ssl_certificate_key {key};
    {server}
  }}
}}
"""


class Nginx:
    def __init__(self, directory, cert, server):
        os.makedirs(directory, exist_ok=True)
        self.directory, self.port = directory, free_port()
        self.host = f"127.0.0.1:{self.port}"
        path = os.path.join(directory, "nginx.conf")
        user = "user root;" if os.getuid() == 0 else ""
        with open(path, "w", encoding="ascii") as file:
            file.write(user + CONFIGURATION.format(directory=directory, port=self.port, cert=cert[0], key=cert[1], server=server))
        self.log = open(os.path.join(directory, "log"), "ab")
        self.process = subprocess.Popen(["nginx", "-p", directory, "-c", path], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin"})
        atexit.register(self.stop)
        wait_listening(self.port, self.process)

    def protocols(self):
        """Those of the requests that have ended."""
        with open(os.path.join(self.directory, "access.log"), encoding="ascii") as file:
            return set(file.read().split())

    def reload(self):
        """New workers; the old ones say GOAWAY and finish what they have."""
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        atexit.unregister(self.stop)
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self.log.close()


class RegistryProxy(Nginx):
    """Before a registry at http://UPSTREAM, as people put it there. `forwarded`: it tells the
    registry that TLS ends here; without, the registry says http:// in its Locations.
    `port`: it tells the port as well. `body_max`: client_max_body_size."""

    def __init__(self, directory, upstream, forwarded=False, port=True, body_max="0"):
        cert = Authority(os.path.join(directory, "pki")).issue("127.0.0.1")
        lines = [
            f"client_max_body_size {body_max};",
            "location / {",
            f"  proxy_pass http://{upstream};",
            "  proxy_http_version 1.1;",
            f"  proxy_set_header Host {'$http_host' if port else '$host'};",
            "  proxy_set_header X-Forwarded-Proto https;" if forwarded else "",
            "}",
        ]
        super().__init__(directory, cert, "\n".join(lines))
