"""An HTTP proxy in this process that writes down what goes through it.

    with FakeProxy() as proxy:
        ... http_proxy=proxy.url ...
        proxy.seen      # ["GET http://127.0.0.1:5000/v2/", "CONNECT 127.0.0.1:5001"]
"""

import contextlib
import http.client
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


class FakeProxy:
    def __init__(self):
        self.seen = []
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.owner = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.owner.seen.append(f"{self.command} {self.path}")
        to = urlsplit(self.path)
        upstream = http.client.HTTPConnection(to.netloc, timeout=30)
        headers = {k: v for k, v in self.headers.items() if not k.lower().startswith(("proxy-", "connection"))}
        upstream.request(self.command, to._replace(scheme="", netloc="").geturl(), headers=headers)
        answer = upstream.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length") if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        upstream.close()

    do_HEAD = do_GET

    def do_CONNECT(self):
        self.server.owner.seen.append(f"CONNECT {self.path}")
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), 30) as upstream:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.relay(upstream)
        self.close_connection = True

    def relay(self, upstream):
        pairs = {self.connection: upstream, upstream: self.connection}
        while True:
            for ready in select.select(list(pairs), [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                pairs[ready].sendall(data)
