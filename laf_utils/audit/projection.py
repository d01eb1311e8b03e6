"""The representations of several models in one plane, so that a place of one picture means what it means in the next."""

from collections.abc import Mapping

import numpy as np
import torch
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from ..support.seeds import derive


def shared_projection(representations: Mapping[str, np.ndarray], forgotten: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """One t-SNE of the same images in several models: float [n, 2] for each.

    A retrained network's axes are its own, so each model's representations are first turned onto the first one's by the
    rotation that fits best on the retained images (orthogonal Procrustes); then all models share one projection.

    Args:
        representations: by model, float [n, d]; the first gives the axes.
        forgotten: bool [n], the images that take no part in the rotation.
        seed: the run's; draws the projection's start.
    """
    aligned: list[np.ndarray] = []
    for own in representations.values():
        e = own.astype(np.float64)
        e -= e[~forgotten].mean(0)
        e /= np.linalg.norm(e[~forgotten], axis=1).mean()
        aligned.append(e @ orthogonal_procrustes(e[~forgotten], aligned[0][~forgotten])[0] if aligned else e)
    reduced = PCA(min(30, len(forgotten)), random_state=0).fit_transform(np.concatenate(aligned))
    state = derive(seed, "tsne") % 2**32
    tsne = TSNE(2, init="pca", perplexity=30, random_state=state, n_jobs=torch.get_num_threads())
    points = np.split(tsne.fit_transform(reduced), len(representations))
    return dict(zip(representations, points, strict=True))
