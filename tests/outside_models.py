"""Models that this project did not write, small: timm, torchvision, transformers and others, from their own configurations."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations
from torchvision import models
from torchvision.models.segmentation.fcn import FCNHead

CLASSES, SIDE = 4, 32
SHAPE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def timm_model(name, **options):
    timm = pytest.importorskip("timm")
    return timm.create_model(name, num_classes=options.pop("classes", CLASSES), **options)


def hugging(name, config, **options):
    """A model of transformers from a configuration: nothing is fetched."""
    transformers = pytest.importorskip("transformers")
    labels = {"num_labels": options.pop("classes", CLASSES)} if "Text" not in config else {}
    return getattr(transformers, name)(getattr(transformers, config)(**labels, **options))


def hugging_vit(**options):
    return hugging("ViTForImageClassification", "ViTConfig", image_size=SIDE, patch_size=8, **SHAPE, **options)


def convnext(x, y):
    """A small ConvNeXt of transformers that has learned images [n, 3, 8, 8]."""
    torch.manual_seed(0)
    model = hugging("ConvNextForImageClassification", "ConvNextConfig", hidden_sizes=[16, 24], depths=[1, 1], num_stages=2,
                    patch_size=2)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(60):
        rows = torch.randint(len(x), (64,))
        optimiser.zero_grad()
        F.cross_entropy(model(x[rows]).logits, y[rows]).backward()
        optimiser.step()
    return model.eval()


def small(name="shufflenet_v2_x0_5", **options):
    return models.get_model(name, num_classes=CLASSES, **options)


def weight_normed():
    model = small()
    model.fc = parametrizations.weight_norm(model.fc)
    return model


def segmentation_like():
    """torchvision's head of fully convolutional networks, behind dropout, averaged over positions."""
    body = nn.Sequential(*list(models.resnet18().children())[:5])
    return nn.Sequential(body, FCNHead(64, CLASSES), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Tuples(nn.Module):
    """A model of transformers that is asked for tuples."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model(pixel_values, return_dict=False)


def two_heads():
    """DeiT with a teacher's head beside its own, on another token: the mean of both is the answer."""
    name = "DeiTForImageClassificationWithTeacher"
    return hugging(name, "DeiTConfig", image_size=SIDE, patch_size=8, **SHAPE)


# kind: (model, head that is found, width of the representation)
IMAGES = {
    "object, ViT": (hugging_vit, "classifier", 16),
    "object, DINOv2": (lambda: hugging(
        "Dinov2ForImageClassification", "Dinov2Config", image_size=SIDE, patch_size=8, mlp_ratio=1, hidden_size=16,
        num_hidden_layers=1, num_attention_heads=2,
    ), "classifier", 32),
    "object, Swin": (lambda: hugging(
        "SwinForImageClassification", "SwinConfig", image_size=SIDE, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2],
        window_size=4,
    ), "classifier", 16),
    "object, ConvNeXt": (lambda: hugging(
        "ConvNextForImageClassification", "ConvNextConfig", hidden_sizes=[8, 16], depths=[1, 1], num_stages=2,
    ), "classifier", 16),
    "object with hidden states": (lambda: hugging_vit(output_hidden_states=True), "classifier", 16),
    "tuple": (lambda: Tuples(hugging_vit()), "model.classifier", 16),
    "auxiliary heads, GoogLeNet": (lambda: small("googlenet", aux_logits=True, init_weights=False), "fc", 1024),
    "convolution, SqueezeNet": (lambda: small("squeezenet1_1"), "classifier.1:input", 512),
    "convolution, FCN": (segmentation_like, "1.4:input", 1024),
    "dropout, VGG's kind": (lambda: timm_model("test_vit", img_size=SIDE, drop_rate=0.5), "head", 64),
    "norm, ConvNeXt": (lambda: timm_model("test_convnext"), "head.fc", 64),
    "weight norm": (weight_normed, "fc", 1024),
    "residual network": (lambda: timm_model("test_resnet"), "fc", 96),
    "efficient network": (lambda: timm_model("test_efficientnet"), "classifier", 256),
    "no normalisation": (lambda: timm_model("test_nfnet"), "head.fc", 192),
}


def clip():
    """Hugging Face's CLIP: an image and a text tower."""
    transformers = pytest.importorskip("transformers")
    text = {**SHAPE, "vocab_size": 60, "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 2}
    config = transformers.CLIPConfig(
        text_config=text, vision_config={**SHAPE, "image_size": SIDE, "patch_size": 8}, projection_dim=16
    )
    return transformers.CLIPModel(config).eval()


def open_clip():
    """open_clip's, from the sizes of its own configurations, smaller."""
    towers = pytest.importorskip("open_clip")
    vision = {"image_size": SIDE, "patch_size": 8, "width": 64, "layers": 1, "head_width": 32}
    text = {"context_length": 8, "vocab_size": 60, "width": 32, "heads": 2, "layers": 1}
    return towers.CLIP(16, vision, text).eval()
