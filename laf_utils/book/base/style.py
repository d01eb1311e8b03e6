"""Every figure of the notebooks and the book, one style. A figure draws; what it shows was computed elsewhere."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from io import BytesIO
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, Image, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from ...audit.statistics import Interval
from ...settings.names import MODEL_NAMES

# Okabe and Ito's palette (distinguishable with colour-blindness); one colour per model everywhere.
COLOURS = {"original": "#7f7f7f", "retrained": "#000000", "laf": "#D55E00", "laf_r": "#0072B2"}
MARKERS = {"original": "o", "retrained": "D", "laf": "s", "laf_r": "^"}
FORGET, TEST, RETAIN = "#CC3311", "#0077BB", "#999999"
STYLE: dict[Any, Any] = {
    "figure.dpi": 110, "savefig.dpi": 110, "figure.constrained_layout.use": True, "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10.5, "axes.titlelocation": "left",
    "axes.grid": True, "grid.color": "#e6e6e6", "grid.linewidth": 0.7, "axes.axisbelow": True, "legend.frameon": False,
    "figure.facecolor": "white", "savefig.facecolor": "white",
}
WIDTH = 6.6  # inches: a notebook's column
NARROW = 5.4  # inches: so narrow that text stays legible on a phone
LINEAR = 1.0  # points: below that the axes of gaps are linear
SHARP = 2  # pixels drawn for each that is shown: screens of today have as many


def panels(rows: int, columns: int, height: float, **settings: Any) -> tuple[Figure, np.ndarray]:
    """A figure of ``height`` inches, as wide as the text, and its axes [rows, columns]; ``settings`` are ``plt.subplots``'s."""
    return plt.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False, **settings)


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the style of this project, whatever the notebook has set.

    Raises:
        ValueError: what is to be drawn, the first argument, is empty.
    """

    @wraps(draw)
    def inside(*args: Any, **kwargs: Any) -> Figure:
        if args and hasattr(args[0], "__len__") and not len(args[0]):
            raise ValueError(f"{draw.__name__}: nothing to draw")
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return inside


def pointed_at(figure: Figure, box: Bbox) -> list[list[float | str]]:
    """What the points of a figure say when they are pointed at: [percent from the left, percent from the top, words].

    Lines and scatters with a ``gid`` say it, with ``{x}`` and ``{y}`` of the point in it.

    Args:
        box: what is drawn of the figure, inches.
    """
    found: list[list[float | str]] = []
    size = figure.get_dpi() * np.array([box.width, box.height])
    for axis in figure.axes:
        drawn: list[tuple[str | None, Any]] = [(line.get_gid(), line.get_xydata()) for line in axis.lines]
        drawn += [(dots.get_gid(), dots.get_offsets()) for dots in axis.collections]
        for said, points in ((said, points) for said, points in drawn if said is not None):
            places = (axis.transData.transform(points) - figure.get_dpi() * np.array(box.min)) / size
            for (x, y), (across, up) in zip(points, places, strict=True):
                found.append([round(100 * across, 1), round(100 * (1 - up), 1), said.format(x=x, y=y)])
    return found


def show(figure: Figure, alt: str) -> None:
    """Display a figure once, sharp on any screen, with a text for those who cannot see it; it is as wide as its column allows.

    What ``pointed_at`` finds goes with it as data: a page with ``_book/static/hover.js`` shows it, the picture stands by itself.
    """
    drawn, dpi = BytesIO(), STYLE["savefig.dpi"]
    with mpl.rc_context(STYLE):
        figure.canvas.draw()
        box = figure.get_tightbbox().padded(mpl.rcParams["savefig.pad_inches"])
        figure.savefig(drawn, format="png", dpi=SHARP * dpi, bbox_inches=box, metadata={"Software": None})
        words = pointed_at(figure, box)
    plt.close(figure)
    display(Image(drawn.getvalue(), format="png", alt=alt, width=round(figure.get_figwidth() * dpi)))
    if words:
        data = json.dumps(words, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        display(HTML(f'<script type="application/json" class="laf-hover">{data}</script>'))


def gap_scale(axis: Axes, which: str, ticks: Sequence[float], linear: float = LINEAR, **settings: Any) -> None:
    """A logarithmic ``x`` or ``y`` axis, linear up to some points so that zero is on it, with plain numbers."""
    getattr(axis, f"set_{which}scale")("symlog", linthresh=linear)
    getattr(axis, f"set_{which}ticks")(ticks, [f"{tick:g}".replace("-", "\u2212") for tick in ticks], **settings)
    axis.minorticks_off()


def outlined(axis: Axes, values: np.ndarray, bins: Any, colour: str, label: str | None) -> None:
    """A histogram in percent of its own set: outline over a pale area, so that two of them can be compared."""
    weights = np.full(len(values), 100 / len(values))
    axis.hist(values, bins, weights=weights, color=colour, alpha=0.18)
    axis.hist(values, bins, weights=weights, color=colour, histtype="step", linewidth=1.4, label=label)


def spread(axis: Axes, place: float, dots: list[float], over: Interval, colour: str, faint: str | None = None) -> None:
    """A row of dots, a stroke at the mean, and a bar over its interval where there is one; ``faint``: the dots' colour."""
    axis.plot(dots, [place] * len(dots), "o", color=faint or colour, alpha=0.35, markersize=4, linewidth=0)
    axis.plot([over.mean], [place], "|", color=colour, markersize=13, markeredgewidth=2)
    if over.count > 1:
        axis.plot([over.low, over.high], [place] * 2, color=colour, linewidth=2)


def name_rows(axis: Axes, names: Sequence[str], fontsize: float | None = 9) -> None:
    """A name for each row of a panel, the first at the top."""
    axis.set_yticks(range(len(names)), names, fontsize=fontsize)
    axis.set_ylim(len(names) - 0.5, -0.5)


@styled
def by_request(
    by_title: Mapping[str, Any], panel: Callable[[Axes, Any], None], height: float, beside: float, below: str, sharex: bool = True
) -> Figure:
    """One panel for each request, or whatever has a title, below one another.

    Args:
        panel: draws what stands under a title.
        height, beside: inches of a panel, and of what stands around all of them.
        below: what the horizontal axis shows.
    """
    count = len(by_title)
    figure, axes = plt.subplots(count, 1, figsize=(NARROW, height * count + beside), squeeze=False, sharex=sharex)
    for axis, (title, own) in zip(axes[:, 0], by_title.items(), strict=True):
        panel(axis, own)
        axis.set_title(title)
    axes[-1, 0].set_xlabel(below)
    return figure


@styled
def loss_curves(losses: dict[str, list[float]], start: float | None = None) -> Figure:
    """Losses by epoch, a panel for each kind that is given: training, the VAEs, and the two losses of LAF.

    Args:
        start: the value of L_RA before anything has moved, a dashed line.
    """
    kinds = [
        ("Training: cross-entropy (nats)", {name: (MODEL_NAMES[name], COLOURS[name]) for name in ("original", "retrained")}),
        ("VAEs: squared error + KL, per image", {"vae_h": ("h (kept)", TEST), "vae_h_f": ("h_f (forgotten)", FORGET)}),
        ("L_UE: extractor unlearning, per step", {"loss_ue": ("L_UE", COLOURS["laf"])}),
        ("L_RA: representation alignment, per step", {"loss_ra": ("L_RA", COLOURS["laf"])}),
    ]
    kinds = [(title, curves) for title, curves in kinds if any(losses.get(key) for key in curves)]
    rows = -(-len(kinds) // 2)
    figure, axes = panels(rows, min(2, len(kinds)), 2.5 * rows)
    for axis, (title, curves) in zip(axes.flat, kinds, strict=False):
        for key, (label, colour) in curves.items():
            if values := losses.get(key):
                said = f"{label}, epoch {{x:.0f}}: {{y:.4g}}"
                axis.plot(range(1, len(values) + 1), values, marker="o", markersize=3, label=label, color=colour, gid=said)
        if start is not None and "loss_ra" in curves:
            axis.axhline(start, color="black", linestyle="--", linewidth=1, label="at g_U = g_D, by arithmetic")
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.ticklabel_format(axis="y", useOffset=False)
        if len(axis.lines) > 1:
            axis.legend(fontsize=8)
    for axis in axes.flat[len(kinds) :]:
        axis.set_axis_off()
    return figure


@styled
def per_class_accuracy(accuracy: dict[str, np.ndarray], class_names: tuple[str, ...], highlighted: tuple[int, ...]) -> Figure:
    """Accuracy per class on the test set, one mark per model.

    Args:
        accuracy: model to percent [classes].
        highlighted: the classes that the forget request touches.
    """
    figure, axes = panels(1, 1, 3.0)
    axis, place = axes[0, 0], np.arange(len(class_names))
    for label in highlighted:
        axis.axvspan(label - 0.5, label + 0.5, color="#f4e3dc", zorder=0)
    for offset, (model, values) in zip(np.linspace(-0.27, 0.27, len(accuracy)), accuracy.items(), strict=True):
        axis.plot(place + offset, values, MARKERS[model], color=COLOURS[model], label=MODEL_NAMES[model], markersize=6)
    axis.set_xticks(place, class_names, rotation=30 if max(map(len, class_names)) > 5 else 0)
    axis.set(title="Test accuracy by class (%); shaded: touched by the request", ylim=(-4, 104))
    axis.grid(axis="x", visible=False)
    axis.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.12 if max(map(len, class_names)) <= 5 else -0.3))
    return figure


@styled
def forgotten_confusion(shares: dict[str, np.ndarray], class_names: tuple[str, ...], true_classes: list[int]) -> Figure:
    """What each model calls the forgotten images: percent by predicted class.

    Args:
        shares: model to percent [true classes, classes]; rows sum to 100.
        true_classes: the true class of each row.
    """
    models, rows = list(shares), len(true_classes)
    figure, axes = panels(len(models), 1, 0.7 + len(models) * (0.28 * rows + 0.32), sharex=True)
    for axis, model in zip(axes[:, 0], models, strict=True):
        axis.imshow(shares[model], cmap="Oranges", vmin=0, vmax=100, aspect="auto")
        for (i, j), value in np.ndenumerate(shares[model]):
            text = f"{value:.0f}" if value >= 0.5 else "·"
            axis.text(j, i, text, ha="center", va="center", fontsize=7.5, color="white" if value > 60 else "#333333")
        axis.set_yticks(range(rows), [class_names[c] for c in true_classes])
        axis.set_ylabel(MODEL_NAMES[model], rotation=0, ha="right", va="center", labelpad=18)
        axis.grid(visible=False)
    axes[-1, 0].set_xticks(range(len(class_names)), class_names, rotation=30 if max(map(len, class_names)) > 5 else 0)
    axes[-1, 0].set_xlabel("predicted class (% of the forgotten images of a row)")
    return figure


@styled
def representation_maps(maps: dict[str, np.ndarray], classes: np.ndarray, forgotten: np.ndarray) -> Figure:
    """One projection of several models' representations, side by side.

    Args:
        maps: model to float [n, 2], the same n images for every model.
        classes: int [n], what colours the kept images.
        forgotten: bool [n], drawn on top.
    """
    figure, axes = panels(1, len(maps), 3.1, sharex=True, sharey=True)
    for axis, (model, points) in zip(axes[0], maps.items(), strict=True):
        for label in np.unique(classes):  # class by class, since all points of a scatter say the same
            kept, gone = (points[(classes == label) & part] for part in (~forgotten, forgotten))
            colour = mpl.colormaps["tab10"](label % 10)
            axis.scatter(*kept.T, color=colour, s=5, alpha=0.45, linewidths=0, gid=f"kept, class {label}")
            axis.scatter(*gone.T, color="black", s=7, alpha=0.75, linewidths=0, gid=f"forgotten, class {label}", zorder=2)
        axis.scatter([], [], color="black", s=7, label="forgotten")
        axis.set(title=MODEL_NAMES[model], xticks=[], yticks=[])
        axis.grid(visible=False)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", markerscale=2, handletextpad=0.1)
    return figure


@styled
def confidence_histograms(confidence: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Largest softmax probability of forgotten and of test images, one panel per model.

    Args:
        confidence: model to {"forget": float [n_f], "test": float [n_t]}.
    """
    figure, axes = panels(1, len(confidence), 2.6, sharey=True)
    bins = np.linspace(0, 1, 26)
    for axis, (model, values) in zip(axes[0], confidence.items(), strict=True):
        for name, colour in (("forget", FORGET), ("test", TEST)):
            outlined(axis, values[name], bins, colour, name)
        axis.set(title=MODEL_NAMES[model], xlabel="confidence", yscale="log", ylim=(0.05, 150))
        axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes[0, 0].set_ylabel("% of images (log)")
    axes[0, 0].legend(loc="upper left")
    return figure
