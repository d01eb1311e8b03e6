"""The audit over seeds as a picture: every model against the retrained one of the same seed."""

from matplotlib.figure import Figure

from ...audit import interval
from ...experiments.audit_seeds import MODELS, NULL
from ..base import style
from .ch6_tables import heading, shift, title_of, u_mia, values

SHOWN = tuple(model for model in MODELS if model != "retrained")
SHIFT, U_MIA = "shift of φ (nats)", "U-MIA on log loss (points)"
LINEAR = {SHIFT: 1.0, U_MIA: 2.0}  # below that the axes are linear
LEFT_OUT = "no record by the\npresent definition"


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

    Args:
        places: (data set, task) to its records.

    Raises:
        ValueError: no record at all.
    """
    places = {place: records for place, records in places.items() if records}
    if not places:
        raise ValueError("no record of the audit: nothing to draw")
    figure, axes = style.plt.subplots(
        len(places), 2, figsize=(style.NARROW, 2.15 * len(places)), squeeze=False, sharey=True, sharex="col"
    )
    for row, (place, records) in zip(axes, places.items(), strict=True):
        for axis, (measure, linear) in zip(row, LINEAR.items(), strict=True):
            null = _differences(records, NULL)[measure]
            if len(null) > 1:
                axis.axvspan(interval(null).low, interval(null).high, color="#e0e0e0", zorder=0)
            axis.axvline(0, color="black", linewidth=1)
            if not any(_differences(records, model)[measure] for model in SHOWN):
                axis.text(0.5, 0.5, LEFT_OUT, transform=axis.transAxes, ha="center", va="center", fontsize=8.5)
            for number, model in enumerate(SHOWN):
                colour = style.COLOURS.get(model, "#6a3d9a" if model != NULL else "black")
                if numbers := _differences(records, model)[measure]:
                    style.spread(axis, number, numbers, interval(numbers), colour)
            axis.set_xscale("symlog", linthresh=linear)
            axis.set_yticks(range(len(SHOWN)), [title_of(model) for model in SHOWN])
            axis.set_ylim(len(SHOWN) - 0.5, -0.5)
        row[0].set_title(heading(*place))
    for axis, measure in zip(axes[-1], LINEAR, strict=True):
        axis.set_xlabel(measure)
    return figure
