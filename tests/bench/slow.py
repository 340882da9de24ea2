"""Networks that are slower than this machine, for the benchmarks.

    SlowRegistry(bytes_per_s)   gives each connection so many bytes of a blob a second
    DelayingProxy(host, rtt_s)  a TCP proxy behind which `host` is so far away

Both are cheap: bytes of blobs go by sendfile, and a proxy is one thread.
"""

import asyncio
import os
import threading
import time

from fakeregistry import FakeRegistry, Handler

STEP = 256 * 1024


class SlowHandler(Handler):
    def reply(self, status, headers, body, start=0, end=None):
        rate = self.server.owner.rate
        if not rate or getattr(body, "path", None) is None or self.command == "HEAD":
            return super().reply(status, headers, body, start, end)
        end = body.size if end is None else end
        self.record.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        self.wfile.flush()
        return self.send_slowly(body.path, start, end, rate)

    def send_slowly(self, path, start, end, rate):
        """A bucket that holds one step: what a connection did not take it does not get later."""
        owner = self.server.owner
        due = time.monotonic()
        with open(path, "rb") as file:
            while start < end:
                if owner.stop_after and owner.sent("/blobs/") >= owner.stop_after:
                    owner.stopped.set()
                    owner.goes_on.wait(60)
                    self.close_connection = True
                    return
                sent = os.sendfile(self.connection.fileno(), file.fileno(), start, min(STEP, end - start))
                start += sent
                self.record.sent += sent
                due = max(due, time.monotonic() - STEP / rate) + sent / rate
                time.sleep(max(0.0, due - time.monotonic()))


class SlowRegistry(FakeRegistry):
    def __init__(self, rate=0, **options):
        super().__init__(**options)
        self.server.RequestHandlerClass = SlowHandler
        self.rate = rate
        self.stop_after = 0  # bytes of blobs in all after which nothing comes; 0: never
        self.stopped, self.goes_on = threading.Event(), threading.Event()


class DelayingProxy:
    def __init__(self, host, rtt):
        self.target = host.rsplit(":", 1)
        self.rtt = rtt
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        self.ready.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def _run(self):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=128))
        self.host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self.ready.set()
        self.loop.run_forever()

    async def _serve(self, reader, writer):
        await asyncio.sleep(self.rtt)  # the handshake, which the kernel here has done at once
        back_reader, back_writer = await asyncio.open_connection(*self.target)
        await asyncio.gather(self._carry(reader, back_writer), self._carry(back_reader, writer))

    async def _carry(self, reader, writer):
        """Each piece comes out half a round trip after it came in, in order."""
        pieces = asyncio.Queue()
        delivery = self.loop.create_task(self._deliver(pieces, writer))
        try:
            while piece := await reader.read(65536):
                pieces.put_nowait((self.loop.time() + self.rtt / 2, piece))
        except OSError:
            pass
        pieces.put_nowait((self.loop.time() + self.rtt / 2, b""))
        await delivery

    async def _deliver(self, pieces, writer):
        try:
            while True:
                due, piece = await pieces.get()
                await asyncio.sleep(max(0.0, due - self.loop.time()))
                if not piece:
                    break
                writer.write(piece)
                await writer.drain()
            writer.close()
        except OSError:
            pass
