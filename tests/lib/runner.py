#!/usr/bin/python3
"""Runs test files (unittest) and says for every test what became of it.

    runner.py [-j N] [--only REGEX] [--skip REGEX] [--results FILE] FILE...

One line a test; failures with their text. FILE gets lines "pass|fail|skip NAME
[reason]", which tests/run.sh counts. With -j the files are spread over so many
processes. Exit status 1 if anything failed, 2 if nothing ran.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from harness import SLOW, deadline  # noqa: E402

TEST_SECONDS = 180


def in_short(error):
    """What is told where there is no room for more."""
    lines = [line for line in f"{type(error).__name__}: {error}".splitlines() if line.strip()]
    return lines[0][:300] + (" ... " + lines[-1][:300] if len(lines) > 1 else "")


class Result(unittest.TestResult):
    def __init__(self, log):
        super().__init__()
        self.log, self.failed, self.ran = log, False, 0

    def startTest(self, test):
        super().startTest(test)
        self.begin, self.said = time.monotonic(), False

    def say(self, word, test, reason="", text=""):
        if self.said:
            word_seen = True
        else:
            word_seen = False
            self.said = True
        name = f"{type(test).__module__}.{getattr(test, '_testMethodName', test)}"
        if not word_seen:
            self.ran += 1
            print(f"{word:4} {name} ({time.monotonic() - self.begin:.1f} s) {reason}".rstrip(), flush=True)
            if self.log:
                self.log.write(f"{word} {name} {reason}".rstrip() + "\n")
                self.log.flush()
        if text:
            print("     " + text.rstrip().replace("\n", "\n     "), flush=True)

    def fail(self, test, error):
        self.failed = True
        self.say("fail", test, in_short(error[1]), self._exc_info_to_string(error, test))

    def addSuccess(self, test):
        self.pending = test

    def stopTest(self, test):
        # Clean-ups run before this and may still have failed the test.
        if not self.said:
            self.say("pass", test)
        super().stopTest(test)

    def addError(self, test, err):
        if not hasattr(self, "begin"):
            self.begin = time.monotonic()
        if isinstance(test, unittest.suite._ErrorHolder):  # setUpClass
            self.begin, self.said = time.monotonic(), False
        self.fail(test, err)

    def addFailure(self, test, err):
        self.fail(test, err)

    def addSkip(self, test, reason):
        self.begin = getattr(self, "begin", time.monotonic())
        if isinstance(test, unittest.suite._ErrorHolder):
            self.said = False
        self.say("skip", test, reason)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            print(f"     {subtest._subDescription()}", flush=True)
            self.fail(test, err)


def tests_of(path):
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def flatten(suite):
    for entry in suite:
        if isinstance(entry, unittest.TestSuite):
            yield from flatten(entry)
        else:
            yield entry


def run_here(options):
    with open(options.results or os.devnull, "a", encoding="utf-8") as log:
        result = Result(log)
        for path in options.files:
            chosen = unittest.TestSuite()
            for test in flatten(tests_of(path)):
                name = test.id()
                if options.only and not re.search(options.only, name):
                    continue
                if options.skip and re.search(options.skip, name):
                    continue
                test.run = bounded(test)
                chosen.addTest(test)
            chosen.run(result)
    if result.ran == 0 and not options.only:
        return 2
    return 1 if result.failed else 0


def bounded(test):
    run = test.run

    def run_bounded(result=None):
        seconds = getattr(test, "SECONDS", TEST_SECONDS) * SLOW
        try:
            with deadline(seconds, test.id()):
                return run(result)
        except TimeoutError:
            result.fail(test, sys.exc_info())
            return result

    return run_bounded


def run_spread(options):
    """A process per file, `jobs` at a time; output comes file by file."""
    waiting, running, status = list(options.files), [], 0
    extra = [f"--{key}={value}" for key in ("only", "skip", "results") if (value := getattr(options, key))]
    while waiting or running:
        while waiting and len(running) < options.jobs:
            path = waiting.pop(0)
            command = [sys.executable, __file__, *extra, path]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        first = running.pop(0)
        sys.stdout.write(first.communicate()[0].decode(errors="replace"))
        sys.stdout.flush()
        status = max(status, 1 if first.returncode else 0)
    return status


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", "--jobs", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--skip")
    parser.add_argument("--results")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    sys.exit(run_spread(options) if options.jobs > 1 else run_here(options))


if __name__ == "__main__":
    main()
