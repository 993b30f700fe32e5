"""What the scripts that draw share: files of records, and a picture made of them."""

import csv
import json
import sys


def number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def read(path):
    """Records of a CSV file, or of the JSON file that dsa-bench writes."""
    if path.suffix == ".json":
        return json.loads(path.read_text())["results"]
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def filled_cell(corner, colour, width=1, line=1):
    from matplotlib.patches import Rectangle
    return Rectangle(corner, width, 1, facecolor=colour, edgecolor="white", linewidth=line)


def save(program, arguments, size, draw):
    """Lets draw(figure, axes, records) make the picture; the program's exit code."""
    try:
        import matplotlib
    except ImportError:
        print(f"{program} needs matplotlib (pip install matplotlib)", file=sys.stderr)
        return 3
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    try:
        records = [r for path in arguments.files for r in read(path)]
        figure, axes = plt.subplots(figsize=size)
        draw(figure, axes, records)
        output = arguments.output or arguments.files[0].with_suffix(".png")
        figure.savefig(output, dpi=120, bbox_inches="tight")
    except (OSError, ValueError, KeyError) as problem:
        print(f"{program}: {problem}", file=sys.stderr)
        return 1
    print(output)
    return 0
