"""SMI against mixtures whose shares are known."""

import math

import pytest
import torch

from laf_utils.audit.mixture import SIGNIFICANT, member_share


def normal(*shape, seed=0, shift=0.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + shift


def groups(share, shift=1.5, count=300, seed=0):
    """Forgotten images of which a share lies where members lie."""
    inside = round(share * count)
    forget = torch.cat([normal(inside, 4, seed=seed + 1), normal(count - inside, 4, seed=seed + 2, shift=shift)])
    return [forget], [normal(count, 4, seed=seed + 3)], [normal(count, 4, seed=seed + 4, shift=shift)]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_members_is_found(share):
    found = member_share(*groups(share), seed=0)
    assert found.share == pytest.approx(share, abs=0.12)
    assert found.low - 0.05 <= share <= found.high + 0.05
    assert found.low < found.share < found.high
    assert found.by_image.value == pytest.approx(found.share, abs=1e-9)


def test_where_members_and_others_look_alike_nothing_is_known():
    found = member_share(*groups(0.5, shift=0.0), seed=0)
    assert (found.share, found.low, found.high, found.by_image) == (None, None, None, None)
    assert abs(found.separation) < SIGNIFICANT * found.error


def test_the_separation_of_copies_has_no_bias():
    """The plain squared discrepancy is above zero for any two samples; over many pairs this one is not."""
    found = [member_share(*groups(0.5, shift=0.0, count=30, seed=10 * k), seed=0).separation for k in range(40)]
    mean, spread = sum(found) / 40, torch.tensor(found).std().item()
    assert abs(mean) < 4 * spread / math.sqrt(40)


def test_classes_are_pooled_by_their_forgotten_images():
    """One class wholly forgotten, one not at all, three times as large."""
    first, second = groups(0.0, count=100), groups(1.0, count=300, seed=50)
    found = member_share(*([*a, *b] for a, b in zip(first, second, strict=True)), seed=0)
    assert found.share == pytest.approx(0.75, abs=0.15)
    assert found.by_image.value == pytest.approx(found.share, abs=1e-9)
    assert len(found.by_image.first) == 400


def test_columns_of_another_scale_change_nothing():
    plain = member_share(*groups(0.4), seed=0)
    scale = torch.tensor([1e3, 1.0, 1e-3, 5.0])
    scaled = member_share(*([part * scale for part in kind] for kind in groups(0.4)), seed=0)
    assert scaled.share == pytest.approx(plain.share, abs=1e-5)


def test_what_cannot_be_compared_is_refused():
    forget, members, others = groups(0.5, count=5)
    with pytest.raises(ValueError, match="classes"):
        member_share(forget, members, others * 2, seed=0)
    with pytest.raises(ValueError, match="three images"):
        member_share([forget[0][:2]], members, others, seed=0)
