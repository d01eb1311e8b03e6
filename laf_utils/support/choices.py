"""The words that settings choose from, where they can be read without PyTorch."""

TASKS = ("data", "class", "noisy")
BACKBONES = ("cnn", "resnet18", "resnet9")
RATES = ("constant", "one_cycle")  # of training, from step to step
CROPS = ("pad", "resized")  # kinds of random crop
PRECISIONS = ("float32", "bfloat16")
