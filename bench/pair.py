#!/usr/bin/env python3
"""Paired comparison of gateways that are already running (see README.md).

For each case and each round every target gets one run, in turn (A B C, then C B A, ...), so that drift of
the machine hits all alike.  Prints, per case, the median of each figure and the median of the round-by-round
ratios to the first target.  CPU time is read from /proc for every process that listens on the target's port,
with all its descendants, so "requests per gateway CPU second" needs no quiet machine.
"""

import argparse
import json
import os
import statistics as st
import subprocess
import sys
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf("SC_CLK_TCK")


def listeners(port):
    """pids that hold a listening socket on the port"""
    inodes = set()
    for f in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            for line in open(f).read().splitlines()[1:]:
                p = line.split()
                if p[3] == "0A" and int(p[1].rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{p[9]}]")
        except OSError:
            pass
    out = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") in inodes:
                    out.add(int(pid))
                    break
        except OSError:
            pass
    return out


def tree(pids):
    kids = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            s = open(f"/proc/{pid}/stat").read()
            kids.setdefault(int(s.rsplit(")", 1)[1].split()[1]), []).append(int(pid))
        except OSError:
            pass
    out, todo = set(), list(pids)
    while todo:
        p = todo.pop()
        if p not in out:
            out.add(p)
            todo += kids.get(p, [])
    return out


def cpu(pids):
    """CPU seconds (user + system) so far of live processes"""
    total = 0.0
    for p in pids:
        try:
            s = open("/proc/%d/stat" % p).read().rsplit(")", 1)[1].split()
            total += (int(s[11]) + int(s[12])) / TICK
        except OSError:
            pass
    return total


def memory(pids):
    pss = 0
    for p in pids:
        try:
            for line in open("/proc/%d/smaps_rollup" % p):
                if line.startswith("Pss:"):
                    pss += int(line.split()[1])
        except OSError:
            pass
    return pss / 1024


CASES = {  # name: (path, model, loadgen options)
    "chat": ("/v1/chat/completions", "mock", []),
    "chat8k": ("/v1/chat/completions", "mock", ["--pad", "8192"]),
    "burst": ("/v1/chat/completions", "mock-burst", ["--stream", "1"]),
    "tick": ("/v1/chat/completions", "mock-tick", ["--stream", "1"]),
    "paced": ("/v1/chat/completions", "mock-paced", ["--stream", "1", "--ramp", "1"]),
    "slow": ("/v1/chat/completions", "mock-slow", ["--ramp", "1"]),
    "image": ("/image/test", "mock", ["--get", "1"]),
    "imagejson": ("/v1/images/generations", "mock", []),
    "speech": ("/v1/audio/speech", "mock", []),
}


def one(t, case, conns, secs, warm, load_core, loadgen):
    path, model, opts = CASES[case]
    u = urllib.parse.urlsplit(t["url"])
    base = t["url"].rstrip("/")
    model = t.get("models", {}).get(model, t.get("model_prefix", "") + model)
    cmd = (
        (["taskset", "-c", str(load_core)] if load_core is not None else [])
        + [
            loadgen,
            "--url",
            base + t.get("paths", {}).get(case, path),
            "--model",
            model,
            "--conns",
            str(conns),
            "--secs",
            str(secs),
            "--warm",
            str(warm),
        ]
        + opts
    )
    if t.get("key"):
        cmd += ["--key", t["key"]]
    for h in t.get("headers", []):
        cmd += ["--header", h]
    pids = tree(listeners(u.port or 80)) if t.get("cpu", True) else set()
    for p in t.get("ports", []):
        pids |= tree(listeners(p))
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE)
    time.sleep(warm)
    c0, t0 = cpu(pids), time.monotonic()
    time.sleep(secs * 0.5)
    mem = memory(pids)
    time.sleep(max(0, secs * 0.98 - (time.monotonic() - t0)))
    c1, t1 = cpu(pids), time.monotonic()
    out = json.loads(p.communicate()[0])
    used = (c1 - c0) / (t1 - t0)  # cores
    out["cores"] = used
    out["per_cpu_s"] = out["rps"] / used if used > 0.005 else 0.0
    out["events_per_cpu_s"] = out["events_per_s"] / used if used > 0.005 else 0.0
    out["pss_mb"] = mem
    return out


FIG = [
    ("rps", "req/s"),
    ("per_cpu_s", "req/CPU s"),
    ("p50_ms", "p50 ms"),
    ("p99_ms", "p99 ms"),
    ("first_p50_ms", "first p50"),
    ("first_p99_ms", "first p99"),
    ("events_per_cpu_s", "events/CPU s"),
    ("cores", "cores"),
    ("pss_mb", "PSS MB"),
]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument(
        "--targets", help="JSON file: list of {name, url, key, model_prefix, models, headers, paths, ports}"
    )
    ap.add_argument(
        "--target",
        action="append",
        default=[],
        help="NAME=URL[=KEY]; repeatable; the first of all is the base of the ratios",
    )
    ap.add_argument("--only", help="comma-separated names out of --targets, in this order")
    ap.add_argument(
        "--cases", default="chat:1,chat:32,chat:128,burst:32,tick:32", help="CASE:CONNECTIONS,... of " + " ".join(CASES)
    )
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--secs", type=float, default=3)
    ap.add_argument("--warm", type=float, default=1)
    ap.add_argument("--load-core", type=int, default=0, help="core for the load generator (-1: none)")
    ap.add_argument("--loadgen", default=os.path.join(HERE, "loadgen"))
    ap.add_argument("--json", help="write all runs to this file")
    a = ap.parse_args()
    ts = json.load(open(a.targets)) if a.targets else []
    for s in a.target:
        p = s.split("=", 2)
        ts.append({"name": p[0], "url": p[1], "key": p[2] if len(p) > 2 else None})
    if a.only:
        by = {t["name"]: t for t in ts}
        ts = [by[n] for n in a.only.split(",")]
    core = None if a.load_core < 0 else a.load_core
    allruns = []
    for cs in a.cases.split(","):
        case, conns = cs.split(":")
        runs = {t["name"]: [] for t in ts}
        for r in range(a.rounds):
            for t in ts if r % 2 == 0 else ts[::-1]:
                try:
                    o = one(t, case, int(conns), a.secs, a.warm, core, a.loadgen)
                except Exception as e:  # a target that fails must not end the whole comparison
                    print("  {} {}: {}".format(t["name"], cs, e), file=sys.stderr)
                    o = None
                runs[t["name"]].append(o)
                allruns.append({"case": cs, "round": r, "target": t["name"], "result": o})
        print("\n%s  (%d rounds of %g s)" % (cs, a.rounds, a.secs))
        print(
            "%-26s" % "target"
            + "".join("%13s" % n for _, n in FIG)
            + "   errors   ratio req/s [min max]      ratio req/CPU s"
        )
        base = runs[ts[0]["name"]]
        for t in ts:
            rs = [x for x in runs[t["name"]] if x]
            if not rs:
                print("%-26s failed" % t["name"])
                continue
            line = "%-26s" % t["name"][:26] + "".join(f"{st.median(x[k] for x in rs):13.2f}" for k, _ in FIG)
            err = sum(x["bad"] + x["neterr"] for x in rs)
            pr = [x["rps"] / b["rps"] for x, b in zip(runs[t["name"]], base, strict=False) if x and b and b["rps"]]
            pc = [
                x["per_cpu_s"] / b["per_cpu_s"]
                for x, b in zip(runs[t["name"]], base, strict=False)
                if x and b and b["per_cpu_s"]
            ]
            line += (
                "%9d" % err
                + (f"   {st.median(pr):8.3f} [{min(pr):.3f} {max(pr):.3f}]" if pr else "")
                + (f"   {st.median(pc):10.3f}" if pc else "")
            )
            print(line, flush=True)
    if a.json:
        json.dump(allruns, open(a.json, "w"), indent=0)


main()
