"""The figures of chapters 1 and 2: sets, training, representations, VAEs. In the style of ``laf_utils.book.base.style``."""


import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...models import REPRESENTATION_WIDTH
from ...settings.names import MEASURE_NAMES, MODEL_NAMES, TASK_NAMES
from ..base.style import COLOURS, FORGET, MARKERS, RETAIN, TEST, WIDTH, outlined, panels, plt, styled
from .ch2_densities import Fit, slope

SET_COLOURS = {"retain": RETAIN, "forget": FORGET, "test": TEST}
SET_NAMES = {"retain": "D_r", "forget": "D_f", "test": "test"}


@styled
def requests(shown: dict[str, dict[str, tuple[np.ndarray, list[str]]]]) -> Figure:
    """Sample images of D_f and D_r of each request, the requests side by side.

    Args:
        shown: task to set to (uint8 [n, C, H, W], n captions).
    """
    figure = plt.figure(figsize=(WIDTH, 4.4))
    for panel, (task, sets) in zip(figure.subfigures(1, len(shown), squeeze=False, wspace=0.04)[0], shown.items(), strict=True):
        panel.suptitle(TASK_NAMES[task], fontsize=10.5)
        for part, (name, (images, captions)) in zip(panel.subfigures(2, 1), sets.items(), strict=True):
            part.set_facecolor("#fbeeea" if name == "D_f" else "#f4f4f4")
            part.suptitle(f"{name}: to {'forget' if name == 'D_f' else 'keep'}", fontsize=8.5)
            axes = part.subplots(2, -(-len(images) // 2), squeeze=False)
            for axis in axes.flat:
                axis.set_axis_off()
            for axis, image, caption in zip(axes.flat, images, captions, strict=False):
                axis.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray_r", vmin=0, vmax=255)
                axis.set_title(caption, fontsize=6.5, loc="center", pad=2)
    return figure


@styled
def class_counts(counts: dict[str, tuple[np.ndarray, ...]], class_names: tuple[str, ...]) -> Figure:
    """Training images by true class, those to forget on top of those to keep; one panel per request."""
    figure, axes = panels(1, len(counts), 2.5, sharey=True)
    place, long = np.arange(len(class_names)), max(map(len, class_names)) > 2
    for axis, (task, (forget, retain)) in zip(axes[0], counts.items(), strict=True):
        axis.bar(place, retain, color=RETAIN, label="D_r", width=0.8)
        axis.bar(place, forget, bottom=retain, color=FORGET, label="D_f", width=0.8)
        axis.set_xticks(place, class_names, rotation=90 if long else 0, fontsize=8)
        axis.set(title=TASK_NAMES[task], xlabel="true class")
        axis.grid(axis="x", visible=False)
    axes[0, 0].set_ylabel("training images")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def training(losses: dict[str, list[float]], metrics: dict[str, dict[str, float | None]]) -> Figure:
    """Left: training loss by epoch. Right: where both models ended, accuracy by set."""
    figure, axes = panels(1, 2, 2.9)
    for model in ("original", "retrained"):
        drawn = {"marker": MARKERS[model], "markersize": 4, "color": COLOURS[model], "label": MODEL_NAMES[model]}
        axes[0, 0].plot(range(1, len(losses[model]) + 1), losses[model], **drawn)
    axes[0, 0].set(title="Training loss (cross-entropy, nats)", xlabel="epoch", ylim=(0, None))
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes[0, 0].legend()
    measures = [key for key in MEASURE_NAMES if any(own.get(key) is not None for own in metrics.values())]
    for offset, (model, own) in zip((0.1, -0.1), metrics.items(), strict=True):
        axes[0, 1].plot([own[key] for key in measures], -np.arange(len(measures)) + offset, MARKERS[model], linestyle="none",
                        color=COLOURS[model], label=MODEL_NAMES[model])
    labels = [MEASURE_NAMES[key].replace(", ", ",\n") for key in measures]
    axes[0, 1].set_yticks(-np.arange(len(measures)), labels)
    axes[0, 1].set(title="Accuracy after training (%)", xlim=(-4, 104), ylim=(0.6 - len(measures), 0.5))
    return figure


@styled
def representation_values(representations: dict[str, np.ndarray]) -> Figure:
    """Left: all values of all representations; shaded: what a sigmoid can reach. Right: the length of each representation."""
    figure, axes = panels(1, 2, 2.8)
    edge = np.quantile(np.abs(np.concatenate([e.ravel() for e in representations.values()])), 0.999)
    lengths = {name: np.linalg.norm(e, axis=1) for name, e in representations.items()}
    far = max(v.max() for v in lengths.values())
    axes[0, 0].axvspan(0, 1, color="#e3eef7", zorder=0, label="reach of a sigmoid")
    for name, e in representations.items():
        outlined(axes[0, 0], e.ravel(), np.linspace(-edge, edge, 61), SET_COLOURS[name], SET_NAMES[name])
        outlined(axes[0, 1], lengths[name], np.linspace(0, far, 51), SET_COLOURS[name], SET_NAMES[name])
    axes[0, 0].set(title="The values of the representations", xlabel="value", ylabel="% of the values of a set")
    axes[0, 1].set(title="Their lengths", xlabel="length of a representation", ylabel="% of the images of a set")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def given_back(fits: dict[str, Fit]) -> Figure:
    """Single values of retained representations and what h gives back for them, one panel per decoder."""
    figure, axes = panels(1, len(fits), 3.0, sharex=True, sharey=True)
    edge = max(np.quantile(np.abs(fit.pairs[0]), 0.998) for fit in fits.values())
    for axis, (name, fit) in zip(axes[0], fits.items(), strict=True):
        axis.axvspan(0, 1, color="#e3eef7", zorder=0)
        axis.hexbin(*fit.pairs, gridsize=45, extent=(-edge, edge, -edge, edge), bins="log", cmap="Greys", mincnt=1, linewidths=0)
        axis.plot([-edge, edge], [-edge, edge], color=FORGET, linewidth=1, label="given back exactly")
        axis.set(title=name, xlabel="value", xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    axes[0, 0].set_ylabel("given back by h")
    axes[0, 0].legend(loc="upper left", fontsize=8)
    return figure


@styled
def saturation(fits: dict[str, Fit]) -> Figure:
    """Top: the slope of s(m). Below, on the same axis: where the retained and the forgotten data lie, per decoder.

    The last row is the last decoder again, with m as a mean over the dimensions instead of a sum.
    """
    last, own = list(fits)[-1], (("h", "retain", "D_r under h"), ("h_f", "forget", "D_f under h_f"))
    rows = {name: dict(fit.errors) for name, fit in fits.items()}
    rows[f"{last}, mean instead of sum"] = {key: m / REPRESENTATION_WIDTH for key, m in fits[last].errors.items()}
    figure, axes = panels(1 + len(rows), 1, 2.3 + 0.95 * len(rows), sharex=True, height_ratios=[2.2] + [1] * len(rows))
    shown = np.concatenate([errors[vae, part] for errors in rows.values() for vae, part, _ in own])
    low, high = np.quantile(shown, 0.001) / 2, shown.max() * 1.5
    line = np.geomspace(low, high, 300)
    axes[0, 0].plot(line, slope(line), color="black")
    axes[0, 0].set(title="The slope of s(m): what L_UE can feel", xscale="log", yscale="log", ylabel="s′(m)")
    for axis, (name, errors) in zip(axes[1:, 0], rows.items(), strict=True):
        for vae, part, label in own:
            outlined(axis, np.clip(errors[vae, part], low, high), np.geomspace(low, high, 91), SET_COLOURS[part], label)
        axis.set_title(name, fontsize=9)
        axis.set_ylabel("% of images", fontsize=8)
    axes[1, 0].legend(loc="upper left", fontsize=8)
    axes[-1, 0].set_xlabel("m(e, v)")
    return figure


@styled
def both_sets_under_both(fits: dict[str, Fit]) -> Figure:
    """m of D_r and of D_f, under h on the left and under h_f on the right, one row per decoder."""
    figure, axes = panels(len(fits), 2, 0.6 + 1.5 * len(fits))
    for row, (name, fit) in zip(axes, fits.items(), strict=True):
        for axis, vae in zip(row, ("h", "h_f"), strict=True):
            far = np.quantile(np.concatenate([fit.errors[vae, part] for part in ("retain", "forget")]), 0.99)
            for part in ("retain", "forget"):
                m = np.clip(fit.errors[vae, part], 0, far)
                outlined(axis, m, np.linspace(0, far, 46), SET_COLOURS[part], SET_NAMES[part])
            axis.set_title(f"{name}: under {vae}", fontsize=9)
        row[0].set_ylabel("% of a set")
    axes[0, 0].legend(fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("m(e, v); the last bin holds the rest")
    return figure
