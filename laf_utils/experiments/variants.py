"""Variants of a cell: the same method with some settings of the run changed, for ablations and for readers' questions.

A cell of a variant has its own record, in a folder of the variant's name, and its own key: its settings are part of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..settings.presets import FIXED_SETTINGS


@dataclass(frozen=True)
class Variant:
    """What is changed, in dotted settings of ``RunConfig``, and how tables call it."""

    name: str
    title: str
    changes: Mapping[str, object]

    @property
    def arguments(self) -> dict[str, Any]:
        """The changes as ``presets.preset`` takes them: ``unlearning__epochs=5``."""
        return {name.replace(".", "__"): value for name, value in self.changes.items()}


SHARES = (1, 5, 10, 50)  # percent of D_r whose labels may be read; all of them is no variant
SMOKE_IMAGES = 1_000

VARIANTS: Mapping[str, Variant] = {
    variant.name: variant
    for variant in (
        # Ablation: one loss, or one half of one, is switched off.
        Variant("without_ue", "without L_UE", {"unlearning.use_ue": False}),
        Variant("without_ra", "without L_RA", {"unlearning.use_ra": "none"}),
        Variant("ra_retain_only", "L_RA without its forget half", {"unlearning.use_ra": "retain"}),
        Variant("ra_forget_only", "L_RA without its retain half", {"unlearning.use_ra": "forget"}),
        # Semi-supervised: how many labels of D_r are known.
        *(Variant(f"labels_{share}", f"{share} % of labels", {"repair.labelled_share": share / 100}) for share in SHARES),
        # How the two losses share the epochs.
        Variant("two_stage", "two stages", {"unlearning.schedule": "two_stage"}),
        Variant("joint", "one step on the sum", {"unlearning.schedule": "joint"}),
        # What h is fitted on, and how.
        Variant("h_on_retain", "h fitted on D_r", {"vae.fit_h_on": "retain"}),
        Variant("no_kl", "KL dropped", {"vae.kl_weight": 0.0}),
        Variant("linear_decoder", "decoder without sigmoid", {"vae.decoder": "linear"}),
        # How far to go.
        *(Variant(f"epochs_{n}", f"{n} epoch{'s' if n > 1 else ''}", {"unlearning.epochs": n}) for n in (1, 2, 5, 20, 40)),
        # All that mode ``fixed`` recommends, on the request and the original of mode ``reference``.
        Variant("fixed", "mode fixed", {name: value for name, value in FIXED_SETTINGS.items() if "." in name}
                | {"transforms.augment_everywhere": False}),
        # The whole protocol with one epoch of everything on a few images: whether it runs, not what it gives.
        Variant("smoke", "smoke test", {
            "images": SMOKE_IMAGES, "training.epochs": 1, "vae.epochs": 1, "unlearning.epochs": 1,
        }),
    )
}
