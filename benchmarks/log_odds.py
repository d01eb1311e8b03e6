"""At the paper's size: how near are ``relearn``'s log-odds of D_f to the retrained model's, beside a second retrained model's?

``python -m benchmarks.log_odds mnist data 0 1 2`` adds one line for each seed to ``results/log_odds/paper.jsonl``, which chapter
6 shows; what is there is not done again. Its other tables read the same measure from models in profile ``quick``, where a tenth
of retraining is less than half a pass. ``--laf`` adds LAF, which takes longer than all the rest. Models are kept and taken as a
grid's are.
"""

import argparse
import json
import sys
from typing import Any, cast

from laf_utils.audit import accuracies, gaps_to_retrained
from laf_utils.audit.confidence import log_odds
from laf_utils.audit.distance import log_odds_auc
from laf_utils.book.chapters import ch6_log_odds
from laf_utils.experiments.cells import AGAIN, Cell
from laf_utils.experiments.making import settings_of
from laf_utils.experiments.problem import Problem
from laf_utils.experiments.second_retrained import retrained_again
from laf_utils.experiments.variants import VARIANTS
from laf_utils.methods import run_method
from laf_utils.models import Network
from laf_utils.settings.changes import changed

OURS = {"relearn": {}, "relearn-as_sure": VARIANTS["as_sure"].settings}


def models_of(problem: Problem, laf: bool) -> dict[str, Network]:
    """The models of one request, by the names of the records."""
    config = problem.config

    def settings(method: str) -> Any:
        return settings_of(Cell(config.dataset, config.task, method, config.seed), problem, None)

    found = {"original": problem.run.original, "retrained": problem.run.retrained}
    found[AGAIN] = retrained_again(problem, settings(AGAIN))[0]
    for name, changes in OURS.items():
        found[name] = cast(Network, run_method("relearn", problem.request, changed(settings("relearn"), changes)).model)
    return found | ({"laf": problem.run.laf} if laf else {})


def line_of(problem: Problem, laf: bool = False) -> dict:
    """AUC of phi of D_f's labels against the retrained model's in percent, medians of phi in nats, gaps in points."""
    config = problem.config
    rows, own = problem.run.task.forget, problem.run.task
    passed = {name: problem.outputs(model) for name, model in models_of(problem, laf).items()}
    phi = {name: log_odds(found.train.logits[rows], own.train_labels[rows]) for name, found in passed.items()}
    scores = {name: accuracies(found, own, problem.run.data.test.labels) for name, found in passed.items()}
    gaps = gaps_to_retrained(scores)
    others = [name for name in passed if name != "retrained"]
    return {
        "dataset": config.dataset, "task": config.task, "seed": config.seed,
        "auc": {name: round(log_odds_auc(phi[name], phi["retrained"]), 2) for name in others},
        "median": {name: round(found.median().item(), 2) for name, found in phi.items()},
        "gap": {name: round(gaps[name]["mean"], 3) for name in others},
    }


def lines() -> list[dict]:
    """What is there, in the order of the book's table."""
    return [line for own in ch6_log_odds.lines().values() for line in own]


def keep(line: dict) -> None:
    """In the place of an older line of the same request and seed; lines in their order."""
    named = ("dataset", "task", "seed")
    rest = [other for other in lines() if any(other[name] != line[name] for name in named)]
    path = ch6_log_odds.place()
    path.parent.mkdir(parents=True, exist_ok=True)
    text = [json.dumps(own) + "\n" for own in sorted([*rest, line], key=lambda own: [own[name] for name in named])]
    path.write_text("".join(text), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=("mnist", "fashion"))
    parser.add_argument("task", choices=("class", "data", "noisy"))
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--laf", action="store_true", help="LAF too")
    asked = parser.parse_args()
    for seed in asked.seeds:
        known = [line for line in lines() if (line["dataset"], line["task"], line["seed"]) == (asked.dataset, asked.task, seed)]
        if any("laf" in line["auc"] or not asked.laf for line in known):
            continue
        line = line_of(Problem.asked(asked.dataset, asked.task, seed, say=lambda text: print(text, file=sys.stderr)), asked.laf)
        keep(line)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
