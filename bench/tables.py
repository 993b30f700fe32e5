#!/usr/bin/env python3
"""Markdown tables of a CSV file that `dsa-bench suite --device cuda --csv FILE` wrote, for docs/performance.

  tables.py FILE [--only GROUP,...]

A group of top-k becomes a table for each k, rows by columns: the median in microseconds and, with --peers,
in brackets how many times as fast as the fastest peer. Other groups become a line a result.
"""

import argparse
import csv
import math
import signal

FASTEST = ["to_best", "to_flashmla", "to_deepgemm"]  # one of them a record


def duration(us):
    if us < 100:
        return f"{us:.1f} µs"
    return f"{us:.0f} µs" if us < 1000 else f"{us / 1000:.2f} ms"


def short(n):
    n = int(n)
    return f"{n // 1024}K" if n >= 4096 and n % 1024 == 0 else str(n)


def ratio_of(record):
    return next((float(record[key]) for key in FASTEST if record.get(key)), None)


def table(head, lines):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")
    print()


def grid(records):
    for k in sorted({int(r["k"]) for r in records}):
        cells = {(int(r["rows"]), int(r["n"])): r for r in records if int(r["k"]) == k}
        columns = sorted({n for _, n in cells})
        lines = []
        for rows in sorted({rows for rows, _ in cells}):
            line = [short(rows)]
            for n in columns:
                record = cells.get((rows, n))
                ratio = ratio_of(record) if record else None
                line.append("" if not record else f"{float(record['median_us']):.1f}" +
                            ("" if ratio is None else f" ({ratio:.2f})"))
            lines.append(line)
        table([f"k {k}, µs"] + [short(n) for n in columns], lines)


def listing(records):
    lines = []
    for r in records:
        shape = f"{short(r['rows'])} x {short(r['n'])}"
        shape += f", k {r['k']}" if r["k"] else ""
        shape += f", batch {r['batch']}" if r["batch"] else ""
        shape += f", {r['heads']} x {r['dim']}" if r["heads"] else ""
        shape += f"/{r['value_dim']}" if r["value_dim"] else ""
        ratio = ratio_of(r)
        rate = f"{float(r['gflop_s']) / 1000:.0f} TFLOP/s" if r["gflop_s"] \
            else f"{float(r['gb_s']):.0f} GB/s"
        lines.append([shape, r["dtype"], r["pattern"], r["outputs"], r["timing"],
                      duration(float(r["median_us"])), rate,
                      "" if ratio is None else f"{ratio:.2f}x"])
    table(["shape", "dtype", "pattern", "outputs", "timing", "median", "rate", "to the peer"],
          lines)


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--only", help="groups, a comma list")
    arguments = parser.parse_args()
    with open(arguments.file, newline="") as file:
        records = list(csv.DictReader(file))
    groups = list(dict.fromkeys(r["group"] for r in records))
    for group in arguments.only.split(",") if arguments.only else groups:
        measured = [r for r in records if r["group"] == group and r["median_us"]]
        print(f"### {group}\n")
        ratios = [ratio for ratio in map(ratio_of, measured) if ratio is not None]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            print(f"To the fastest peer: geometric mean {mean:.2f}x of {len(ratios)}, least "
                  f"{min(ratios):.2f}x.\n")
        (grid if group in ("topk", "topk-short") else listing)(measured)
        for r in records:
            if r["group"] == group and not r["median_us"]:
                print(f"Not run: {r['note']}\n")


if __name__ == "__main__":
    main()
