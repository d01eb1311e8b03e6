"""Variants of a cell: the same method with some settings of the run, or of the method, changed, for ablations and for readers'
questions.

A cell of a variant has its own record, in a folder of the variant's name, and its own key: its settings are part of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..settings.presets import FIXED_SETTINGS


@dataclass(frozen=True)
class Variant:
    """What is changed, and how tables call it.

    Args:
        changes: dotted settings of ``RunConfig``.
        method: a method whose own settings are changed instead, and which alone has the variant.
        settings: those of the method.
        other_images: unlabelled images of another set stand in for D_r (``other_images``).
    """

    name: str
    title: str
    changes: Mapping[str, object] = field(default_factory=dict)
    method: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    other_images: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """The changes as ``presets.preset`` takes them: ``unlearning__epochs=5``."""
        return {name.replace(".", "__"): value for name, value in self.changes.items()}


SHARES = (1, 5, 10, 50)  # percent of D_r whose labels may be read; all of them is no variant
SMOKE_IMAGES = 1_000
OTHER = {"mnist": "fashion", "fashion": "mnist", "cifar10": "svhn", "svhn": "cifar10"}  # whose images stand in for those of which


def _of_relearn(name: str, title: str, **settings: object) -> Variant:
    return Variant(name, title, method="relearn", settings=settings)


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
        # relearn: what it may spend of retraining's passes (10 % is its setting) and of D_r, then its parts.
        *(_of_relearn(f"passes_{share}", f"{share} % of retraining's passes", share=share / 100) for share in (2, 5, 20)),
        _of_relearn("retain_10", "10 % of D_r", retain_share=0.1),
        Variant("other_images", "no image of D_r, as many of another set", method="relearn", other_images=True),
        _of_relearn("as_sure", "sure as before", as_sure=True),
        _of_relearn("from_original", "from the original's weights", start=0.0, tail=0.0),
        _of_relearn("from_fresh", "from fresh weights", start=1.0, tail=1.0),
        _of_relearn("without_mask", "without the mask", mask=False),
        _of_relearn("without_prior", "without the prior", prior=False),
        _of_relearn("soft", "with soft answers", sharpness="soft"),
        _of_relearn("hard", "with hard answers", sharpness="hard"),
        # Where labels contradict, the cleaned answers leave the prior out; soft and hard ones never notice.
        _of_relearn("soft_alone", "with soft answers, without the prior", sharpness="soft", prior=False),
        _of_relearn("hard_alone", "with hard answers, without the prior", sharpness="hard", prior=False),
    )
}
