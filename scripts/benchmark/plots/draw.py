"""Draws bars: `draw.py FILE` reads panels as JSON from stdin and writes one SVG.

It runs in an environment of its own, made of requirements.txt. A panel is an object of `title`,
`unit` and `bars`, a list of name, value and whether it is ours.
"""

import json
import sys

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

OURS = "#b4532a"
OTHERS = "#9aa5b1"
COLUMNS = 3


def main() -> None:
    """Draw the panels, a few in a row."""
    panels = json.load(sys.stdin)
    mpl.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "benchmark", "font.family": "sans-serif"}
    )
    rows = -(-len(panels) // COLUMNS)
    figure, places = plt.subplots(
        rows, COLUMNS, figsize=(4 * COLUMNS, 1.7 * rows + 0.3), squeeze=False
    )
    for place in places.flat[len(panels) :]:
        place.set_axis_off()
    for place, panel in zip(places.flat, panels, strict=False):
        names = [name for name, _, _ in panel["bars"]]
        values = [value for _, value, _ in panel["bars"]]
        colors = [OURS if ours else OTHERS for _, _, ours in panel["bars"]]
        drawn = place.barh(names, values, color=colors)
        place.bar_label(drawn, fmt="{:,.3g}", padding=3, fontsize=8)
        place.invert_yaxis()
        place.margins(x=0.2)
        place.set_title(f"{panel['title']} ({panel['unit']})", fontsize=9, loc="left")
        place.tick_params(labelsize=8, length=0)
        place.xaxis.set_visible(False)
        for side in place.spines.values():
            side.set_visible(False)
    figure.tight_layout()
    figure.savefig(sys.argv[1], format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
