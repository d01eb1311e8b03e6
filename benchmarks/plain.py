"""The plain way: what one writes first, with everything the published code does that costs time and changes no result.

Written for this project from the method's description. A torchvision-style data set of PIL images behind ``DataLoader``
workers; ReLU before the pooling; contiguous memory; Adam as it comes; index sets by loops over single items and membership in
lists; representations recomputed with gradients in every epoch and not detached; student and teacher run separately on both
batches for each loss, the teacher with gradients. ``tests/test_benchmarks.py`` holds it to the same numbers as the package.
"""

import copy
import random
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms
from xgboost import XGBClassifier

WORKERS = 2
BATCH = 32


class Digits(Dataset):
    """Images and labels one at a time, as torchvision's MNIST gives them."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels
        self.transform = transforms.ToTensor()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.images[row, 0].numpy())
        return self.transform(image), int(self.labels[row])


def loader(dataset: Dataset, rows: Sequence[int] | None = None, shuffle: bool = True) -> DataLoader:
    """Batches of 32 of some rows."""
    part = dataset if rows is None else Subset(dataset, rows)
    return DataLoader(part, batch_size=BATCH, shuffle=shuffle, num_workers=WORKERS)


# -- index sets --------------------------------------------------------------------------------------------------------


def without(count: int, removed: list[int]) -> list[int]:
    """The rows that are not in a list, each looked up in it from its beginning."""
    return [row for row in range(count) if row not in removed]


def class_index_sets(dataset: Dataset, forget_class: int) -> tuple[list[int], list[int]]:
    """(forget, retain) of class removal."""
    forget = []
    for row in range(len(dataset)):
        _, label = dataset[row]
        if label == forget_class:
            forget.append(row)
    return forget, without(len(dataset), forget)


def data_index_sets(dataset: Dataset) -> tuple[list[int], list[int]]:
    """(forget, retain) of data removal: 40 % of each of classes 5-9."""
    by_class: dict[int, list[int]] = {label: [] for label in range(5, 10)}
    for row in range(len(dataset)):
        _, label = dataset[row]
        if label in by_class:
            by_class[label].append(row)
    forget = [row for rows in by_class.values() for row in random.sample(rows, len(rows) * 40 // 100)]
    return forget, without(len(dataset), forget)


# -- networks ----------------------------------------------------------------------------------------------------------


class CNN(nn.Module):
    """The CNN of the MNIST runs, ReLU before the pooling; its weights have the names of ``laf_utils.models.cnn``."""

    def __init__(self) -> None:
        super().__init__()
        self.extractor = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 256),
        )
        self.classifier = nn.Sequential(nn.Linear(256, 128), nn.Linear(128, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.extractor(images))


class VAE(nn.Module):
    """The representation VAE with the published sigmoid decoder; weights named as in ``laf_utils.vae``."""

    def __init__(self, latent: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU())
        self.mean = nn.Linear(32, latent)
        self.log_variance = nn.Linear(32, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 32), nn.ReLU(), nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 256), nn.Sigmoid()
        )

    def forward(self, e: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        hidden = self.encoder(e)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        latent = mean + torch.randn_like(mean) * torch.exp(log_variance / 2)
        return self.decoder(latent), mean, log_variance


# -- original and retrained --------------------------------------------------------------------------------------------


def step(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> float:
    """Backward, one step of Adam, and the loss for the log."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def train(model: nn.Module, dataset: Dataset, rows: Sequence[int] | None, epochs: int) -> list[float]:
    """Cross-entropy on some rows; the loss of every step."""
    optimiser, losses = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=1e-4), []
    for _ in range(epochs):
        for images, labels in loader(dataset, rows):
            losses.append(step(optimiser, F.cross_entropy(model(images), labels)))
    return losses


# -- VAEs --------------------------------------------------------------------------------------------------------------


def vae_loss(vae: nn.Module, e: torch.Tensor) -> torch.Tensor:
    """Squared error + 0.025 KL of a batch, per image."""
    reconstruction, mean, log_variance = vae(e)
    error = F.mse_loss(reconstruction, e, reduction="sum")
    kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return (error + 0.025 * kl) / len(e)


def fit_vae(model: nn.Module, dataset: Dataset, rows: Sequence[int] | None, epochs: int) -> nn.Module:
    """A VAE over the representations of some rows, which are computed anew in every epoch and not detached."""
    vae = VAE()
    optimiser = torch.optim.Adam(vae.parameters(), lr=1e-3)
    model.eval()
    for _ in range(epochs):
        for images, _ in loader(dataset, rows):
            step(optimiser, vae_loss(vae, model.extractor(images)))
    return vae.requires_grad_(False)


# -- unlearning and repair ---------------------------------------------------------------------------------------------


def fit_term(vae: nn.Module, e: torch.Tensor) -> torch.Tensor:
    """Sum over the batch of s(m) = exp(m / (m + 1))."""
    m = torch.sum((vae(e)[0] - e) ** 2, dim=1)
    return torch.exp(m / (m + 1)).sum()


def extractor_unlearning(
    student: nn.Module, retain: torch.Tensor, forget: torch.Tensor, h: nn.Module, h_f: nn.Module
) -> torch.Tensor:
    """L_UE, each batch in a pass of its own."""
    keep = fit_term(h, student.extractor(retain))
    return keep - fit_term(h_f, student.extractor(forget))


def representation_alignment(
    student: nn.Module, teacher: nn.Module, retain: torch.Tensor, forget: torch.Tensor, tau: float
) -> torch.Tensor:
    """L_RA, student and teacher on each batch in passes of their own, the teacher with gradients."""
    drift_retain = 1 - F.cosine_similarity(student.extractor(retain), teacher.extractor(retain))
    drift_forget = 1 - F.cosine_similarity(student.extractor(forget), teacher.extractor(forget))
    return torch.log(torch.exp(drift_retain) / torch.exp(drift_forget / tau).sum()).sum()


def unlearn(
    model: nn.Module, dataset: Dataset, forget: Sequence[int], retain: Sequence[int], vaes: tuple[nn.Module, nn.Module],
    epochs: int, tau: float = 20.0,
) -> tuple[nn.Module, list[float], list[float]]:
    """LAF: the unlearned network and both losses of every step."""
    student = copy.deepcopy(model)
    model.eval()
    student.eval()
    adam_ue = torch.optim.Adam(student.extractor.parameters(), lr=5e-5)
    adam_ra = torch.optim.Adam(student.extractor.parameters(), lr=1e-4)
    losses_ue, losses_ra = [], []
    for _ in range(epochs):
        for (x_f, _), (x_r, _) in zip(loader(dataset, forget), loader(dataset, retain), strict=False):
            losses_ue.append(step(adam_ue, extractor_unlearning(student, x_r, x_f, *vaes)))
            losses_ra.append(step(adam_ra, representation_alignment(student, model, x_r, x_f, tau)))
    return student, losses_ue, losses_ra


def repair(model: nn.Module, dataset: Dataset, retain: Sequence[int], epochs: int = 1) -> nn.Module:
    """LAF+R: cross-entropy through the whole network, the optimiser holding the classifier only."""
    repaired = copy.deepcopy(model)
    optimiser = torch.optim.Adam(repaired.classifier.parameters(), lr=1e-3)
    for _ in range(epochs):
        for images, labels in loader(dataset, retain):
            step(optimiser, F.cross_entropy(repaired(images), labels))
    return repaired


# -- evaluation --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def accuracy(model: nn.Module, dataset: Dataset, rows: Sequence[int] | None = None) -> float:
    """Percent correct, one pass."""
    hits = [(model(images).argmax(1) == labels).sum().item() for images, labels in loader(dataset, rows, shuffle=False)]
    return 100.0 * sum(hits) / (len(dataset) if rows is None else len(rows))


@torch.no_grad()
def features(model: nn.Module, dataset: Dataset, rows: Sequence[int]) -> np.ndarray:
    """Sorted softmax probabilities, one pass."""
    return np.concatenate([
        np.sort(F.softmax(model(images), dim=1).numpy(), axis=1) for images, _ in loader(dataset, rows, shuffle=False)
    ])


def attack(model: nn.Module, dataset: Dataset, test: Dataset, forget: list[int], retain: list[int]) -> float:
    """The published attack: percent of the attacked rows that are called right."""
    known = min(5_024, len(test) // 2)
    members = features(model, dataset, random.sample(retain, min(5_024, len(forget), len(retain))))
    others = features(model, test, range(known))
    x, y = np.concatenate([members, others]), np.repeat([1, 0], [len(members), len(others)])
    x, _, y, _ = train_test_split(x, y, test_size=0.01, random_state=0)
    attacker = XGBClassifier(n_estimators=100, objective="binary:logistic", n_jobs=torch.get_num_threads()).fit(x, y)
    forgotten = features(model, dataset, forget)
    unseen = features(model, test, range(known, min(len(test), known + len(forget))))
    truth = np.repeat([1, 0], [len(forgotten), len(unseen)])
    return 100.0 * float((attacker.predict(np.concatenate([forgotten, unseen])) == truth).mean())


def evaluate(model: nn.Module, dataset: Dataset, test: Dataset, forget: list[int], retain: list[int], forget_class: int) -> dict:
    """Every measure of class removal, each in a pass of its own."""
    model.eval()
    test_f, test_r = class_index_sets(test, forget_class)
    return {
        "train_r": accuracy(model, dataset, retain),
        "train_f": accuracy(model, dataset, forget),
        "test": accuracy(model, test),
        "test_r": accuracy(model, test, test_r),
        "test_f": accuracy(model, test, test_f),
        "asr": attack(model, dataset, test, forget, retain),
    }
