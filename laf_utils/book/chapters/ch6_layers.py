"""Chapter 6, inside the network: what can be read from each layer about forgotten images, on a small sample of one run."""

import pandas as pd

from ...audit import audit_representation
from ...audit.request import AGAIN, RETRAINED, audit_request
from ...experiments import cells
from ...experiments.audit_seeds import NULL
from ...experiments.making import settings_of
from ...experiments.problem import Problem
from ...experiments.second_retrained import retrained_again
from ...models import Network
from ...run import Run
from ..base.tables import MISSING
from .ch6_tables import title_of

LIMIT, LEARN = 300, 600  # images of a kind, and images that a probe learns from: seconds instead of minutes
MEASURES = {
    "few_image_recovery": "images of the removed class that a probe finds, taught by a few images.",
    "membership": "AUC of a probe that tells forgotten from test images; 50 is blind.",
}
MODELS = ("original", AGAIN, "laf", "laf_r")


def second_retrained_model(run: Run) -> Network:
    """A model retrained from another seed; kept like any other stage."""
    problem, cell = Problem(run), cells.Cell(run.data.name, run.config.task, cells.AGAIN)
    return retrained_again(problem, settings_of(cell, problem, None))[0]


def layer_audit(run: Run) -> dict:
    """``audit.audit_representation`` with probes on a small sample of the run's images, of all its models."""
    models = {"original": run.original, RETRAINED: run.retrained, AGAIN: second_retrained_model(run)}
    models |= {"laf": run.laf, "laf_r": run.laf_r}
    request = audit_request(
        models, run.task, run.train_images, run.test_images, run.data.test.labels, run.config.training, seed=run.config.seed,
        limit=LIMIT, learn=LEARN,
    )
    return audit_representation(request, ["probes"])


def measure_of(found: dict) -> str:
    """The measure that the table shows: recovery from few images where a class was removed, else membership."""
    names = found["models"]["laf"]["probes"]
    return "few_image_recovery" if any(name.endswith(": few_image_recovery") for name in names) else "membership"


def layer_table(found: dict) -> pd.DataFrame:
    """The measure by layer, from the image to the answer, in percent, a column for each model."""
    ending, rows = f": {measure_of(found)}", {}
    for name, own in found["models"]["laf"]["probes"].items():
        if name.endswith(ending) and own:
            values = {RETRAINED: own["retrained"]}
            values |= {model: (found["models"][model]["probes"].get(name) or {}).get("value") for model in MODELS}
            order = ("original", RETRAINED, "laf", "laf_r", AGAIN)
            titles = {AGAIN: title_of(NULL)}
            rows[name.removesuffix(ending)] = {
                titles.get(model) or title_of(model): MISSING if values[model] is None else f"{100 * values[model]:.1f}"
                for model in order
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def layer_finding(found: dict) -> str:
    """In which layers LAF and LAF+R give more away than the retrained model, with its own test beside it."""
    ending, said = f": {measure_of(found)}", []
    for model in ("laf", "laf_r"):
        own = {k.removesuffix(ending): v for k, v in found["models"][model]["probes"].items() if k.endswith(ending) and v}
        above = [layer for layer, value in own.items() if value["differs"] and value["excess"] > 0]
        where = f"more than the retrained model in {len(above)} of {len(own)} layers ({', '.join(above)})" if above else (
            f"no more than the retrained model in any of {len(own)} layers"
        )
        said.append(f"{title_of(model)} gives away {where}")
    return ". ".join(said) + ". One run and a small sample: a trace that is found counts, one that is not may be too small."
