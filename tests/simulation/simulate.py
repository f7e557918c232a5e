"""Simulates seeds and says what came of them: `python simulate.py --seeds 200`, or `--seed 17` with the end of the story of one."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from faults import KINDS, OTHERS
from playbooks import Run
from scenario import Report, TwoDays, day_of

_TAIL_LINES = 60
# In so many seeds each fault has to come so often.
_MANY, _LEAST = 1000, 50


@dataclass
class Sum:
    """What many seeds come to."""

    fired: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    bad: list[int] = field(default_factory=list)
    seconds: float = 0.0
    requests: int = 0
    longest_run_seconds: float = 0.0

    def add(self, report: Report) -> None:
        self.fired += report.fired
        self.ends += Counter(map(end_of, report.runs))
        self.seconds += report.seconds
        self.requests += report.requests
        self.longest_run_seconds = max(self.longest_run_seconds, report.longest_run_seconds)
        self.bad += [report.seed] if report.violation else []


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--two-days", action="store_true")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        simulation = TwoDays(options.seed) if options.two_days else day_of(options.seed)
        report = simulation.run()
        print("\n".join(report.trace.tail))
        print(describe(report, tail=0))
        return int(report.violation is not None)
    total, started = Sum(), time.monotonic()
    for seed in range(options.first, options.first + options.seeds):
        report = day_of(seed).run()
        total.add(report)
        if report.violation is not None:
            print(describe(report), flush=True)
    say(total, options.seeds, time.monotonic() - started)
    rare = [kind for kind in [*KINDS, *OTHERS] if total.fired[kind] < _LEAST] if options.seeds >= _MANY else []
    if rare:
        print(f"came less than {_LEAST} times, so it is not shown that they do no harm: {', '.join(rare)}")
    return int(bool(total.bad or rare))


def say(total: Sum, seeds: int, took_seconds: float) -> None:
    """The tables."""
    print(
        f"{seeds} seeds, {len(total.bad)} violations{in_words(total.bad)}, {seeds / took_seconds:.1f} seeds/s; "
        f"{total.seconds / 3600:.0f} simulated hours, {total.ends.total()} runs, {total.requests} requests; "
        f"the longest run took {total.longest_run_seconds:.0f} s beyond its wait_timeout"
    )
    print("runs ended: " + ", ".join(f"{end} {count}" for end, count in total.ends.most_common()))
    print("faults:")
    for kind in [*KINDS, *OTHERS]:
        print(f"  {kind:<18} {total.fired[kind]:>8}")


def in_words(seeds: list[int]) -> str:
    return f" (seeds {', '.join(map(str, seeds))})" if seeds else ""


def end_of(run: Run) -> str:
    """How a run ended, in one word."""
    if run.killed:
        return "killed"
    if run.failure is not None:
        return run.failure.code
    return "changed" if run.outcome and run.outcome.changed else "ok"


def describe(report: Report, *, tail: int = _TAIL_LINES) -> str:
    """One line when all is well; else the end of the story, the violation, and how to see it again."""
    if report.violation is None:
        return f"seed {report.seed}: ok, {report.trace.lines} lines, {report.seconds:.0f} simulated seconds, {report.trace.digest[:12]}"
    story = list(report.trace.tail)[-tail:] if tail else []
    return "\n".join([*story, f"seed {report.seed}: VIOLATION: {report.violation}", f"repeat it with: make simulate SEED={report.seed}"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
