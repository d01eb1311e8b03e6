"""Everything that makes a record: dataset x task x method x seed, each cell one record, none made twice.

``cells``      a cell, what its record depends on, and its record; ``problem`` the request with its original and retrained model
``variants``   settings of a run that a cell may change; ``second_retrained`` the noise floor; ``distances`` beyond accuracies
``expected``   what a cell will cost; ``memory`` what it takes; ``estimate`` how long the rest will take
``tuning``     the equal tuning, its search spaces and winners
``audit_seeds``, ``shadows``, ``maps``, ``stages``  audits, many models, maps of representations, originals trained as one
``grid``       which cells there are, whether their records are valid, stale or missing, and what they wait for
``launch``     Snakemake over what is missing: two workers here, or a cluster by profile; ``worker`` one cell, ``follow`` the rest
``faults``     why a cell failed, in one line, and what killed writers leave behind

``python -m laf_utils.experiments`` (``make experiments``) goes on wherever the last call was ended, however it was ended.
"""
