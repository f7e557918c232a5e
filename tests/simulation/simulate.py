"""Simulates seeds and says what came of them: `python simulate.py --seeds 200`, or `--seed 17` with the whole story of one."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from faults import KINDS, OTHERS
from scenario import Report, Simulation

_TAIL_LINES = 60


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args(arguments)
    if options.seed is not None:
        report = Simulation(options.seed).run()
        print("\n".join(report.trace.tail))
        print(describe(report))
        return int(report.violation is not None)
    fired: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    bad: list[Report] = []
    started, virtual, requests, longest = time.monotonic(), 0.0, 0, 0.0
    for seed in range(options.first, options.first + options.seeds):
        report = Simulation(seed).run()
        fired += report.fired
        ends += Counter(end_of(run) for run in report.runs)
        virtual, requests, longest = virtual + report.seconds, requests + report.requests, max(longest, report.longest_run_seconds)
        if report.violation is not None:
            bad.append(report)
            print(describe(report), flush=True)
    took = time.monotonic() - started
    print(f"{options.seeds} seeds, {len(bad)} violations, {options.seeds / took:.1f} seeds/s, {took:.0f} s, {virtual / 3600:.0f} simulated hours, "
          f"{requests} requests, longest run {longest:.0f} s beyond its wait_timeout")
    print("runs: " + ", ".join(f"{end} {count}" for end, count in ends.most_common()))
    print("faults: ")
    for kind in [*KINDS, *OTHERS]:
        print(f"  {kind:<18} {fired[kind]:>8}")
    return int(bool(bad))


def end_of(run) -> str:
    if run.killed:
        return "killed"
    if run.failure is not None:
        return run.failure.code
    return "changed" if run.outcome and run.outcome.changed else "ok"


def describe(report: Report) -> str:
    """One line when all is well; else the violation, how to see it again, and the end of the story."""
    if report.violation is None:
        return f"seed {report.seed}: ok, {report.trace.lines} events, {report.seconds:.0f} simulated seconds, {report.trace.digest[:12]}"
    tail = "\n".join(list(report.trace.tail)[-_TAIL_LINES:])
    return f"{tail}\nseed {report.seed}: VIOLATION: {report.violation}\nrepeat it with: make simulate SEED={report.seed}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
