"""The audit over seeds as a picture: every model against the retrained one of the same seed."""

from matplotlib.figure import Figure

from ...audit import interval
from ...experiments.audit_seeds import MODELS, NULL
from ..base import style
from .ch6_tables import heading, shift, title_of, u_mia, values

SHOWN = tuple(model for model in MODELS if model != "retrained")
SHIFT, U_MIA = "shift of φ (nats)", "U-MIA on log loss (points)"
LINEAR = {SHIFT: 1.0, U_MIA: 2.0}  # below that the axes are linear
TICKS = (-10, -1, 0, 1, 10)  # more would overlap beside the long names of the rows


def _differences(records: list[dict], model: str) -> dict[str, list[float]]:
    """By measure, one number per seed: the shift of phi, and U-MIA less that of the retrained model."""
    own, goal = values(records, model, u_mia), values(records, "retrained", u_mia)
    return {
        SHIFT: list(values(records, model, shift).values()),
        U_MIA: [own[seed] - goal[seed] for seed in own.keys() & goal.keys()],
    }


@style.styled
def against_retrained(places: dict[tuple[str, str], list[dict]]) -> Figure:
    """One row of panels per request: dots are seeds, bars 95 % intervals, the line at zero is the retrained model.

    Raises:
        ValueError: no record at all.
    """
    places = {place: records for place, records in places.items() if records}
    if not places:
        raise ValueError("no record of the audit: nothing to draw")
    shown = {  # a measure that no record has by its present definition has no column
        measure: linear for measure, linear in LINEAR.items()
        if any(_differences(records, model)[measure] for records in places.values() for model in SHOWN)
    }
    models = [m for m in SHOWN if any(_differences(records, m)[measure] for records in places.values() for measure in shown)]
    figure, axes = style.plt.subplots(
        len(places), len(shown), figsize=(style.NARROW, (0.6 + 0.25 * len(models)) * len(places)), squeeze=False, sharey=True,
        sharex="col",
    )
    for row, (place, records) in zip(axes, places.items(), strict=True):
        for axis, (measure, linear) in zip(row, shown.items(), strict=True):
            null = _differences(records, NULL)[measure]
            if len(null) > 1:
                axis.axvspan(interval(null).low, interval(null).high, color="#e0e0e0", zorder=0)
            axis.axvline(0, color="black", linewidth=1)
            for number, model in enumerate(models):
                colour = style.COLOURS.get(model, "#6a3d9a" if model != NULL else "black")
                if numbers := _differences(records, model)[measure]:
                    style.spread(axis, number, numbers, interval(numbers), colour)
            axis.set_xscale("symlog", linthresh=linear)
            low, high = axis.get_xlim()
            style.gap_scale(axis, "x", [tick for tick in TICKS if low <= tick <= high], linear)
            style.name_rows(axis, [title_of(model) for model in models], fontsize=None)
        row[0].set_title(heading(*place))
    for axis, measure in zip(axes[-1], shown, strict=True):
        axis.set_xlabel(measure)
    return figure
