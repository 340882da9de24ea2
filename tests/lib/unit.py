#!/usr/bin/python3
"""Runs the cmocka programs of a build, two at a time, and counts their tests.

    unit.py BUILD [--label TEXT] [--results FILE] [--only REGEX] [--timeout SECONDS]

The programs are those that ctest knows. A program that fails, hangs, dies or
prints no test at all is shown with its output.
"""

import argparse
import concurrent.futures
import json
import re
import subprocess
import sys
import time

LINE = re.compile(r"^\[ +(OK|FAILED|SKIPPED|ERROR) +\] (?!TEST\b)(\S.*)$|^\[ +(FAILED|ERROR) +\] (\S+)$")
OUTCOME = {"OK": "pass", "FAILED": "fail", "ERROR": "fail", "SKIPPED": "skip"}


def programs(build, only):
    listing = subprocess.run(
        ["ctest", "--test-dir", build, "--show-only=json-v1"], stdout=subprocess.PIPE, check=True
    ).stdout
    for test in json.loads(listing)["tests"]:
        if "command" in test and re.search(only or "", test["name"]):
            folder = next((p["value"] for p in test.get("properties", ()) if p["name"] == "WORKING_DIRECTORY"), build)
            yield test["name"], test["command"], folder


def run(entry, timeout):
    name, command, folder = entry
    begin = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        status, output = f"no end after {timeout} s", late.stdout or b""
    except OSError as error:
        status, output = str(error), b""
    text = output.decode(errors="replace")
    found = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if match:
            if re.match(r"\d+ test\(s\)|---", match[2] or ""):
                continue  # cmocka's own summary, and its messages
            test = (match[2] or match[4]).split(":")[0].strip()
            outcome = OUTCOME[match[1] or match[3]]
            if found.get(test) != "fail":
                found[test] = outcome
    return name, status, text, found, time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--label", default="unit")
    parser.add_argument("--results")
    parser.add_argument("--only")
    parser.add_argument("--timeout", type=float, default=120)
    options = parser.parse_args()
    entries = list(programs(options.build, options.only))
    log = open(options.results, "a", encoding="utf-8") if options.results else sys.stderr
    failed = not entries
    if failed:
        print("no unit test program is built")
        log.write(f"fail {options.label} (no program)\n")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, status, text, found, seconds in pool.map(lambda e: run(e, options.timeout), entries):
            bad = status != 0 or not found or "fail" in found.values()
            if status not in (0, *range(1, 100)) or not found or (status != 0 and "fail" not in found.values()):
                found[f"(program: {status})"] = "fail"
            wrong = sum(1 for outcome in found.values() if outcome == "fail")
            print(f"{'fail' if bad else 'pass'} {name}: {len(found)} tests, {wrong} wrong, {seconds:.1f} s", flush=True)
            if bad:
                print("     " + text.rstrip()[-8000:].replace("\n", "\n     "), flush=True)
                failed = True
            for test, outcome in found.items():
                log.write(f"{outcome} {options.label}.{name}.{test}\n")
            log.flush()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
