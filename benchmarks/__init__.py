"""Benchmarks: how fast, how large and how near to the machine's limit the package is. See README.md in this folder."""

import os

os.environ.setdefault("LAF_PROGRESS", "0")  # bars would be timed too, and drown the report
