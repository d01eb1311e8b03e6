"""The generator of MixUnlearn: which pixel of a mixed image comes from the forgotten image and which from the retained one.

An attention block between the two images' features in the frozen original (MixBlock, in the form that AdAutoMix has for two
images: 66 thousand weights on 256 channels, as MixUnlearn states).
"""

from types import TracebackType

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.hooks import RemovableHandle

DEEPEST = 16  # an image's side over its feature map's, at most: ResNet-18's third stage, the second convolution of the CNN
SPREAD = 0.01  # standard deviation of the block's first weights


class FeatureTap:
    """While it is open, ``features`` are those that the model's last call passed through its deepest map of at least a sixteenth
    of the image's side: [B, channels, h, w]."""

    def __init__(self, model: nn.Module) -> None:
        self._hooks: list[RemovableHandle]
        self._features: torch.Tensor | None
        self._model, self._hooks, self._side, self._features = model, [], 0, None

    def __enter__(self) -> "FeatureTap":
        self._hooks = [self._model.register_forward_pre_hook(self._start)]
        leaves = [module for module in self._model.modules() if not list(module.children())]
        self._hooks += [leaf.register_forward_hook(self._keep) for leaf in leaves]
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for hook in self._hooks:
            hook.remove()

    def _start(self, _: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        self._side, self._features = given[0].shape[-1], None

    def _keep(self, _: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4 and DEEPEST * output.shape[-1] >= self._side:
            self._features = output

    @property
    def features(self) -> torch.Tensor:
        """Raises ``ValueError`` where the model has no such map."""
        if self._features is None:
            raise ValueError("MixUnlearn's generator needs a feature map (images in, [B, channels, h, w]); this model has none")
        return self._features


class MixBlock(nn.Module):
    """Features of both images and the mixing ratio in, the forgotten image's share of every pixel out.

    Args:
        channels: how many the feature maps have.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.query, self.key = nn.Conv2d(channels + 1, inner, 1), nn.Conv2d(channels + 1, inner, 1)
        self.value = nn.Conv2d(channels + 1, 1, 1)
        for layer in (self.query, self.key, self.value):
            nn.init.normal_(layer.weight, std=SPREAD)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def _looks(self, own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """[B, 1, h, w]: one image's values, gathered by its attention to the other image."""
        count, _, height, width = own.shape
        query, key, value = self.query(own).flatten(2), self.key(other).flatten(2), self.value(own).flatten(2)
        attention = (query.transpose(1, 2) @ key / query.shape[1] ** 0.5).softmax(-1)
        return (attention @ value.transpose(1, 2)).view(count, 1, height, width)

    def forward(self, forget: torch.Tensor, retain: torch.Tensor, ratio: float, side: tuple[int, int]) -> torch.Tensor:
        """[B, 1, H, W] in [0, 1] of feature maps [B, channels, h, w], the forgotten image's ratio, and the images' (H, W)."""
        one = forget.new_ones(len(forget), 1, *forget.shape[2:])
        forget, retain = torch.cat([forget, ratio * one], 1), torch.cat([retain, (1 - ratio) * one], 1)
        looks = torch.cat([self._looks(forget, retain), self._looks(retain, forget)], 1)
        return F.interpolate(looks, size=side, mode="bilinear", align_corners=False).softmax(1)[:, :1]


def mixed(forget: torch.Tensor, retain: torch.Tensor, share: torch.Tensor | float) -> torch.Tensor:
    """share x_f + (1 - share) x_r, of images [B, C, H, W] and the forgotten one's share, a number or [B, 1, H, W]."""
    return share * forget + (1 - share) * retain
