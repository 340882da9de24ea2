"""Pulls over networks that are slow, far away, or break (slow.py)."""

import contextlib
import os
import shutil
import statistics
import threading
import time

import grpc
import images
from harness import Daemon
from ociimage import Image, random_layer
from rpc import Client
from slow import DelayingProxy, SlowRegistry
from verdicts import say, shown, verdict

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
RATE = 40_000_000
LARGE = int(os.environ.get("BENCH_LARGE", str(10**9)))
RTT = 0.02


class Networks:
    def large_layer(self):
        os.makedirs(images.work(""), exist_ok=True)
        return random_layer(images.work(f"one-{LARGE}.gz"), LARGE, "one", level=0)

    def slow_registry(self, rate=RATE):
        registry = SlowRegistry(rate)
        image = registry.repo("one").add(Image([self.large_layer()]), "1")
        return registry, f"{registry.host}/one:1", image

    # -- one large layer, each connection capped

    def ranges(self):
        registry, reference, image = self.slow_registry()
        size = image.layers[0].blob.size
        with registry:
            times, peaks = [], []
            for _ in range(max(1, ROUNDS // 2)):
                daemon = Daemon(self.fresh("imaged"))
                with Client(daemon.address) as client:
                    client.GetVersion()
                    with self.sampled(daemon) as peak:
                        begin = time.monotonic()
                        client.pull(reference, timeout=600)
                        times.append(time.monotonic() - begin)
                peaks.append(peak[0])
                daemon.stop()
                shutil.rmtree(daemon.directory)
            begin = time.monotonic()
            self.pull_skopeo(reference, None)
            skopeo = time.monotonic() - begin
        one = size / RATE
        say(f"one layer of {size / 1e6:.0f} MB, {RATE / 1e6:.0f} MB/s a connection: one connection takes {one:.1f} s at best")
        say(f"  imaged, s {shown(times)}; skopeo {skopeo:.1f} s")
        verdict("one connection / imaged", one / statistics.median(times), 3, " x", at_least=True)
        verdict("memory (RssAnon of daemon and worker)", max(peaks) / 1024, 64, " MiB")

    # -- many tiny layers, far away

    def tiny(self):
        self.served("tiny60")
        times = {"imaged": [], "skopeo": []}
        with DelayingProxy(self.host, RTT) as proxy:
            reference = f"{proxy.host}/tiny60:1"
            for _ in range(max(5, ROUNDS)):
                for peer, seconds in times.items():
                    os.sync()
                    seconds.append(getattr(self, "pull_" + peer)(reference, None))
        say(f"60 tiny layers at {RTT * 1e3:.0f} ms round trip, s")
        for peer, seconds in times.items():
            say(f"  {peer:44} {shown(seconds)}")
        middle = {peer: statistics.median(seconds) for peer, seconds in times.items()}
        verdict("tiny60, far: imaged / skopeo", middle["imaged"] / middle["skopeo"], 0.5, " x")

    # -- cut at the end

    def cut(self):
        registry, reference, image = self.slow_registry(4 * RATE)
        size = image.layers[0].blob.size
        with registry:
            registry.stop_after = size * 99 // 100
            daemon = Daemon(self.fresh("imaged"))
            client = Client(daemon.address)
            call = client.Pull(reference=reference, timeout=600)
            reader = threading.Thread(target=self._ignore, args=(call,))
            reader.start()
            registry.stopped.wait(300)
            daemon.kill()
            reader.join()
            client.close()
            registry.stop_after = 0
            registry.goes_on.set()
            before = registry.sent("/blobs/")
            daemon.start()
            with Client(daemon.address) as again, self.sampled(daemon) as peak:
                begin = time.monotonic()
                done, _ = again.pull(reference, timeout=600)
                seconds = time.monotonic() - begin
            daemon.stop()
            total = registry.sent("/blobs/")
        shutil.rmtree(daemon.directory)
        say(f"cut at 99 % of {size / 1e6:.0f} MB, daemon killed: {before / 1e6:.0f} MB sent before; then {seconds:.1f} s, {done.fetched_bytes / 1e6:.1f} MB fetched")
        verdict("bytes that were sent twice", 100 * (total - size) / size, 2, " %")
        verdict("memory while it goes on", peak[0] / 1024, 64, " MiB")

    @staticmethod
    def _ignore(call):
        """To its end, which is that of the daemon."""
        with contextlib.suppress(grpc.RpcError):
            for _ in call:
                pass

