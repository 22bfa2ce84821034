#!/usr/bin/env python3
"""Start a gateway, and time until it answers: start_time.py --url http://127.0.0.1:PORT/PATH [--runs 5] -- COMMAND ...
Prints each run's seconds to the first answer (any HTTP status), the median, and the PSS of the process tree then."""

import argparse
import http.client
import os
import signal
import statistics
import subprocess
import time
import urllib.parse


def pss(pid):
    total, todo = 0, [pid]
    while todo:
        p = todo.pop()
        try:
            total += sum(int(x.split()[1]) for x in open("/proc/%d/smaps_rollup" % p) if x.startswith("Pss:"))
            for t in os.listdir("/proc/%d/task" % p):
                todo += map(int, open("/proc/%d/task/%s/children" % (p, t)).read().split())
        except OSError:
            pass
    return total / 1024


ap = argparse.ArgumentParser(description=__doc__)
ap.add_argument("--url", required=True)
ap.add_argument("--runs", type=int, default=5)
ap.add_argument("--timeout", type=float, default=60)
ap.add_argument("command", nargs="+")
a = ap.parse_args()
u = urllib.parse.urlsplit(a.url)
times, mem = [], []
for _ in range(a.runs):
    t0 = time.monotonic()
    p = subprocess.Popen(a.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    ok = False
    while time.monotonic() - t0 < a.timeout and p.poll() is None:
        try:
            c = http.client.HTTPConnection(u.hostname, u.port, timeout=2)
            c.request("GET", u.path or "/")
            c.getresponse().read()
            ok = True
            break
        except OSError:
            time.sleep(0.005)
    times.append(time.monotonic() - t0 if ok else float("nan"))
    mem.append(pss(p.pid))
    os.killpg(p.pid, signal.SIGTERM)  # our own process group only
    try:
        p.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()
print(
    "start s: median {:.2f}  runs {}   PSS at start MB: median {:.0f}".format(
        statistics.median(times), " ".join(f"{t:.2f}" for t in times), statistics.median(mem)
    )
)
