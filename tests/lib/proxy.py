"""An HTTP proxy that logs: CONNECT tunnels and plain requests.

    with Proxy({"registry-1.docker.io:443": registry.host}) as proxy:
        ... https_proxy=proxy.url ...
        proxy.log      # [(method, target, headers)]

Targets that `routes` does not name are refused with 403: no test reaches the world.
Without routes each target is where it says it is.
"""

import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Proxy:
    def __init__(self, routes=None):
        self.routes, self.log, self.lock = routes and dict(routes), [], threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads, self.server.owner = True, self
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

    def targets(self, method=None):
        with self.lock:
            return [target for m, target, _ in self.log if method in (None, m)]


def copy(source, sink):
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self, target):
        owner = self.server.owner
        with owner.lock:
            owner.log.append((self.command, target, dict(self.headers.items())))
        route = target if owner.routes is None else owner.routes.get(target)
        if route is None:
            self.send_error(403, "not routed")
            return None
        return route.rpartition(":")[::2]

    def do_CONNECT(self):
        self.close_connection = True
        route = self.note(self.path)
        if route is None:
            return
        with socket.create_connection((route[0].strip("[]"), int(route[1])), 10) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=copy, args=(there, self.connection), daemon=True)
            back.start()
            copy(self.connection, there)
            back.join()

    def do_GET(self):
        url = urlsplit(self.path)
        route = self.note(url.netloc if url.port else f"{url.netloc}:80")
        if route is None:
            return
        line = http.client.HTTPConnection(route[0], int(route[1]), timeout=10)
        headers = {k: v for k, v in self.headers.items() if not k.lower().startswith("proxy-")}
        line.request(self.command, url.path + (f"?{url.query}" if url.query else ""), headers=headers)
        reply = line.getresponse()
        body = reply.read()
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        line.close()

    do_HEAD = do_GET
