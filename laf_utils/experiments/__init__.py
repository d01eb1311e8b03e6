"""The grid of experiments: dataset x task x method x seed, each cell one record, none made twice.

``grid``      which cells there are, whether their records are valid, stale or missing, and what they wait for
``estimate``  how long the rest will take, from the records that are there
``launch``    Snakemake over what is missing: two workers here, or a cluster by profile
``worker``    one cell in a process of its own
``follow``    how far a running grid is, and the time left
``faults``    why a cell failed, in one line, and what killed writers leave behind

``python -m laf_utils.experiments`` (``make experiments``) goes on wherever the last call was ended, however it was ended.
"""
