"""The corpus of builds through other builders: sh tests/build_peers.sh [-k WORD] [buildkit|buildah]...

Each case is built by dockerd's BuildKit and by buildah (started here, on directories of
their own) and held against what the case expects. Where a peer gives something else, the
case has to say why (`differs`): such a difference is listed and counts as explained.
Words of errors and of progress are each builder's own and are not compared.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import buildcorpus  # noqa: E402
from builders import Buildah, BuildKit  # noqa: E402
from buildweb import Web  # noqa: E402


def judge(peer, one, told, show):
    """Prints what became of the case; the verdict."""
    reason = one.differs.get(peer.name)
    if told and reason:
        verdict = "explained"
    elif told:
        verdict = "DIFFERS"
    else:
        verdict = "SAME NOW" if reason else "same"
    print(f"{verdict:9} {peer.name:14} {one.module}/{one.name}" + (f": {reason}" if reason else ""), flush=True)
    if verdict == "DIFFERS" or (told and show):
        print("    " + "\n".join(told).replace("\n", "\n    "), flush=True)
    return verdict


def run_peer(kind, cases, work, archive, images, jobs, show, web):
    directory = os.path.join(work, kind.name)
    os.makedirs(directory)
    peer = kind(directory, archive, images)
    verdicts = []
    try:
        bases = {name: buildcorpus.BaseImage(image) for name, image in images.items()}
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            names = {**{name: f"localhost/{name}" for name in images}, **web.names()}
            running = {pool.submit(buildcorpus.run_case, one, peer, os.path.join(work, kind.name + "-cases", one.name), names): one for one in cases}
            for done in concurrent.futures.as_completed(running):
                one = running[done]
                try:
                    told = buildcorpus.compare(one, done.result(), bases[one.base], False, kind.history, kind.history)
                except Exception as error:  # whatever a peer makes of a case is a verdict
                    told = [f"cannot be tried: {error!r}"]
                verdicts.append(judge(peer, one, told, show))
    finally:
        peer.close()
    return verdicts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", default="")
    parser.add_argument("-j", type=int, default=3)
    parser.add_argument("-v", action="store_true", help="also show differences that are explained")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("peers", nargs="*", default=["buildkit", "buildah"])
    options = parser.parse_args()
    cases = [one for one in buildcorpus.all_cases().values() if re.search(options.k, f"{one.module}/{one.name}")]
    work, bad = tempfile.mkdtemp(prefix="imaged-peers-"), 0
    archive = os.path.join(work, "bases.tar")
    images = buildcorpus.base_archive(archive)
    web = Web(os.path.join(work, "web"), images["base"])
    try:
        for kind in (BuildKit, Buildah):
            if kind.name.split("-")[0] not in options.peers:
                continue
            if not all(shutil.which(program) for program in kind.programs):
                print(f"{kind.name} is not here")
                continue
            verdicts = run_peer(kind, [one for one in cases if not (one.needs and kind.name not in one.needs)], work, archive, images, options.j, options.v, web)
            print(f"{kind.name}: " + ", ".join(f"{verdicts.count(v)} {v}" for v in sorted(set(verdicts))))
            bad += verdicts.count("DIFFERS") + verdicts.count("SAME NOW")
    finally:
        web.close()
        if options.keep:
            print(work)
        else:
            shutil.rmtree(work, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
