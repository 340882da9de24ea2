"""nginx before a registry, as people put it there: TLS ends at it, and it limits bodies."""

import atexit
import os
import subprocess

from harness import free_port, wait_listening


class Nginx:
    """A proxy to http://UPSTREAM on a loopback port. `forwarded`: it tells the registry
    that TLS ended here; without, the registry says http:// in its Locations. `port`: it
    tells the port as well. `body_max`: client_max_body_size."""

    def __init__(self, directory, upstream, forwarded=False, port=True, body_max="0"):
        os.makedirs(directory)
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
             "-out", cert, "-days", "2", "-subj", "/CN=proxy", "-addext", "subjectAltName=IP:127.0.0.1"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        lines = [
            "daemon off; master_process off; worker_processes 1;",
            f"pid {directory}/pid; error_log {directory}/error.log;",
            "events { worker_connections 256; }",
            "http {",
            "  access_log off;",
            *[f"  {kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")],
            "  server {",
            f"    listen {self.host} ssl; ssl_certificate {cert}; ssl_certificate_key {key};",
            f"    client_max_body_size {body_max};",
            "    location / {",
            f"      proxy_pass http://{upstream};",
            "      proxy_request_buffering off; proxy_http_version 1.1;",
            f"      proxy_set_header Host {'$http_host' if port else '$host'};",
            "      proxy_set_header X-Forwarded-Proto https;" if forwarded else "",
            "    }",
            "  }",
            "}",
        ]
        config = os.path.join(directory, "nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        self.process = subprocess.Popen(
            ["nginx", "-e", os.path.join(directory, "error.log"), "-c", config],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        atexit.register(self.stop)
        wait_listening(self.port, self.process)

    def stop(self):
        atexit.unregister(self.stop)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
