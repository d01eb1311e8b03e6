"""Chapter 2: what a representation is, and what the VAEs h and h_f can and cannot say of it.

m(e, v) = ||v(e) - e||^2 is measured as L_UE measures it, with the latent noise on.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

from ...losses import Densities, saturating
from ...representations import FrozenRepresentations
from ...run import Run
from ...support.seeds import stream
from ...vae import RepresentationVAE
from ..base.tables import MISSING
from .shared import run_with

EXAMINED = 2_000  # representations of each set that are looked at
SETS = {"retain": "D_r", "forget": "D_f"}
DECODERS = {
    "sigmoid (published)": {"vae.decoder": "sigmoid", "vae.standardise": False, "vae.error": "sum"},
    "linear": {"vae.decoder": "linear", "vae.standardise": False, "vae.error": "sum"},
    "linear, standardised": {"vae.decoder": "linear", "vae.standardise": True, "vae.error": "sum"},
}


@dataclass(frozen=True)
class Fit:
    """What a pair of VAEs makes of the examined representations."""

    errors: dict[tuple[str, str], np.ndarray]  # (VAE, set) to m, float [n], e.g. ``errors["h_f", "retain"]``.
    # (VAE, set) to the share of the representations' variance that the reconstruction explains
    given_back: dict[tuple[str, str], float]
    pairs: np.ndarray  # float [2, k], single values of D_r's representations and what h gives back for them


def examined(run: Run) -> dict[str, torch.Tensor]:
    """The original's representations [n, 256] of random images of D_r and D_f."""
    return {name: _some(getattr(run.procedure.represented, name), run.config.seed, name) for name in SETS}


def _some(representations: FrozenRepresentations, seed: int, name: str) -> torch.Tensor:
    e, order = representations.epoch(stream(seed, "examined", name)), stream(seed, "examined", name, "rows")
    return e[torch.randperm(len(e), generator=order)[:EXAMINED].to(e.device)]


def facts(representations: dict[str, torch.Tensor]) -> pd.DataFrame:
    """How many values a sigmoid could reach, one row per set."""
    rows = {}
    for name, e in representations.items():
        inside = ((e > 0) & (e < 1)).float().mean().item()
        rows[SETS[name]] = {
            "below 0 (%)": f"{100 * (e <= 0).float().mean().item():.1f}", "in (0, 1) (%)": f"{100 * inside:.1f}",
            "above 1 (%)": f"{100 * (e >= 1).float().mean().item():.1f}",
            "standard deviation": f"{e.std().item():.2f}", "mean squared length": f"{e.square().sum(1).mean().item():.1f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def unreachable(e: torch.Tensor) -> torch.Tensor:
    """The least m [n] that a decoder with values in (0, 1) can have: the squared distance of e [n, 256] to that cube."""
    return (e - e.clamp(0, 1)).square().sum(1)


@torch.no_grad()
def _examine(vae: RepresentationVAE, e: torch.Tensor, seed: int, *names: object) -> tuple[np.ndarray, float, torch.Tensor]:
    """m [n], the share of variance given back, and the reconstruction [n, 256] in the representation's own units."""
    errors = vae.squared_error(e, stream(seed, "examined", *names, device=e.device))
    back = vae(vae.standardised(e), stream(seed, "examined", *names, device=e.device))[0] * vae.scale + vae.centre
    left = (back - e).square().sum() / (e - e.mean(0)).square().sum()
    return errors.cpu().numpy(), 1 - left.item(), back


def examine(densities: Densities, representations: dict[str, torch.Tensor], seed: int, values: int = 20_000) -> Fit:
    """Both VAEs on both sets."""
    errors, shares, pairs = {}, {}, np.empty((2, 0))
    for vae in ("h", "h_f"):
        for name, e in representations.items():
            errors[vae, name], shares[vae, name], back = _examine(getattr(densities, vae), e, seed, vae, name)
            if (vae, name) == ("h", "retain"):
                both = torch.stack([e.flatten(), back.flatten()]).cpu()
                chosen = torch.randperm(both.shape[1], generator=stream(seed, "examined", "values"))[:values]
                pairs = both[:, chosen].numpy()
    return Fit(errors, shares, pairs)


def fits(run: Run, representations: dict[str, torch.Tensor]) -> dict[str, Fit]:
    """The published decoder and two others, each fitted like the published one and kept like any other stage."""
    return {
        name: examine(run_with(run, settings, name).densities, representations, run.config.seed)
        for name, settings in DECODERS.items()
    }


def reconstruction_table(found: dict[str, Fit], representations: dict[str, torch.Tensor]) -> pd.DataFrame:
    """Median m of each set under its own VAE, the part no sigmoid could avoid, and the variance given back, by decoder."""
    rows: dict[str, dict[str, str]] = {}
    for name, fit in found.items():
        rows[name] = {}
        for vae, part in (("h", "retain"), ("h_f", "forget")):
            m = fit.errors[vae, part]
            floor = unreachable(representations[part]).cpu().numpy().mean() / m.mean()
            rows[name] |= {
                f"m({SETS[part]}, {vae})": f"{np.median(m):.1f}",
                f"of it outside (0, 1), {vae}": f"{100 * floor:.0f} %" if name in list(DECODERS)[:1] else MISSING,
                f"variance given back, {vae}": f"{100 * fit.given_back[vae, part]:.0f} %",
            }
    return pd.DataFrame(rows)


def separation_finding(found: dict[str, Fit]) -> str:
    """Whether each VAE of the first decoder tells forgotten from kept, in words."""
    name, table = next(iter(found)), separation_table(found)
    h, h_f, both = (float(value) for value in table.loc[name])
    words = [f"{'tells' if auc > 75 else 'hardly tells' if auc > 55 else 'does not tell'} them apart (AUC {auc:.0f} %)"
             for auc in (h_f, h, both)]
    return f"**Seen:** as published, $h_f$ alone {words[0]}, $h$ alone {words[1]}. The difference of both {words[2]}."


def slope(m: np.ndarray | float) -> np.ndarray | float:
    """s'(m) = s(m) / (m + 1)^2."""
    return np.exp(np.asarray(m) / (np.asarray(m) + 1)) / (np.asarray(m) + 1) ** 2


def saturation_lines(values: tuple[float, ...] = (0, 1, 10, 100, 160)) -> str:
    """s(m) and its slope at a few m, as lines of plain text."""
    lines = ["    m     s(m)     slope"]
    for m in values:
        s = saturating(torch.tensor(m, dtype=torch.float64)).item()
        lines.append(f"{m:5.0f}   {s:.4f}   {slope(m):.6f}")
    return "\n".join([*lines, f"limit   {math.e:.4f}   0"])


def separation_table(found: dict[str, Fit]) -> pd.DataFrame:
    """How well m alone tells D_f from D_r: AUC in percent, 50 is blind.

    A forgotten image should fit h_f (small m) and, if h knows D_r only, should not fit h (large m).
    """
    rows = {}
    for name, fit in found.items():
        forgotten = np.repeat([0, 1], [len(fit.errors["h", "retain"]), len(fit.errors["h", "forget"])])
        m = {vae: np.concatenate([fit.errors[vae, "retain"], fit.errors[vae, "forget"]]) for vae in ("h", "h_f")}
        scores = {"large m under h": m["h"], "small m under h_f": -m["h_f"], "m under h \u2212 m under h_f": m["h"] - m["h_f"]}
        rows[name] = {label: f"{100 * roc_auc_score(forgotten, score):.1f}" for label, score in scores.items()}
    return pd.DataFrame.from_dict(rows, orient="index")
