"""The record of one run: every loss, and what the four models score. ``make laf`` makes the same in a notebook."""

from dataclasses import asdict

from ..evaluation import Evaluation, evaluate, make_record
from ..run import TRAINED, Run, method_code, repair_code, training_code
from ..settings.presets import preset
from ..support.definitions import code_version
from ..support.keys import content_key
from .record import TRAINING, Place


def run_of(place: Place) -> Run:
    """The run that a record is of; raises as ``preset`` and ``datasets.load``."""
    own = asdict(place)
    return Run(preset(own.pop("dataset"), own.pop("task"), **own))


def inputs_of(run: Run) -> dict[str, str]:
    """Everything the numbers depend on, 16 hex digits for each part."""
    return {
        "settings": content_key(run.config.as_dict()), "data": content_key(run.data.checksum),
        "task": content_key(run.task.checksum()), "training": training_code(),
        "method": content_key([method_code(), repair_code()]), "measuring": code_version((evaluate,), TRAINED | {"run.Run"}),
    }


def made(run: Run) -> dict:
    """The run's record, without its head."""
    return make_record(run, evaluate(run))


def keyed_record(run: Run, evaluation: Evaluation) -> dict:
    """The record of a run that was evaluated already, as ``KIND=training`` would write it: a notebook's."""
    return TRAINING.head(inputs_of(run)) | make_record(run, evaluation)
