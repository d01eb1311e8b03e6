"""The retrained model from another seed: the noise floor that belongs beside every gap to the first."""

from dataclasses import replace
from typing import Any

from ..methods import run_method
from ..methods.passes import Passes
from ..models import Network
from ..run import Run
from ..support.artefacts import Artefact
from ..support.seeds import derive
from .cells import AGAIN
from .problem import Problem


def again_stage(run: Run) -> tuple[str, dict, int]:
    """(name, content, training seed) of the second retrained model of a request whose index sets the next seed does not share."""
    seed = derive(run.config.seed, "comparison", AGAIN)
    return AGAIN, run._training_content("retain") | {"seed": seed}, seed


def retrained_again(problem: Problem, settings: Any) -> tuple[Network, Passes, float]:
    """The recipe of the retrained model from another seed, on the same D_r: the next seed's own where it forgets the same.

    Args:
        settings: of ``methods.retrain``: how to train.

    Returns:
        The model, the passes its training took, and the seconds.
    """
    run = problem.run
    config = replace(problem.config, seed=problem.config.seed + 1)
    other = Run(config, folder=run.folder, say=run.say)
    passes = Passes(settings.epochs * len(run.task.retain))
    if other.task.checksum() == run.task.checksum():
        model = other.retrained
        run.facts[AGAIN] = other.facts["retrained"]
        return model, passes, other.seconds["retrained"]
    name, content, seed = again_stage(run)

    def compute() -> Artefact:
        result = run_method("retrain", replace(problem.request, seed=seed), settings)
        return Artefact(dict(result.model.state_dict()), {"losses": {name: result.history["retrained"]}})

    kept = run.kept(name, content, compute)
    model = run.architecture.build(seed, "retrained", run.device)
    model.load_state_dict(kept.tensors)
    return model.eval(), passes, run.seconds[name]
