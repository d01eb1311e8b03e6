"""The words that settings choose from, where they can be read without PyTorch."""

TASKS = ("data", "class", "noisy")
BACKBONES = ("cnn", "resnet18")
CROPS = ("pad", "resized")  # kinds of random crop
PRECISIONS = ("float32", "bfloat16")
