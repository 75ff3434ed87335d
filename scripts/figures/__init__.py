"""The studies' pictures: numbers in, matplotlib figures out, one file a study.

Figures are 8 inches wide, so that their text stays readable where a page shows them 800 pixels wide.
"""

import matplotlib

matplotlib.use("Agg")  # pictures are files; there may be no screen
matplotlib.rcParams.update(
    {
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.fontsize": 9,
        "legend.framealpha": 0.9,
    }
)
