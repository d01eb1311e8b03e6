"""Everything that makes a record: data set, task, method and seed; each cell one record, none made twice.

``cells``        what one record of the comparison is about, and how it is read; ``making`` makes it
``problem``      the request with its original and retrained model
``variants``     settings of a run that a cell may change
``distances``    how near a model is to the retrained one beyond accuracies
``expected``     what a cell will cost
``tuning``       the equal tuning, its search spaces and winners
``audit_seeds``  audits over training seeds
``shadows``      many models of one request
``maps``         representations of several models in one plane
``stages``       originals trained as one
``gpu``          the cells that want a GPU, where one is lent for minutes
``record``       how a record of any kind is read, found stale, and taken or made
``grid``         which cells there are; ``planning`` which of them are valid, stale or missing, and what they wait for
``launch``       Snakemake over what is missing: two workers here, or a cluster by profile
``faults``       why a cell failed, in one line, and what killed writers leave behind

``python -m laf_utils.experiments`` (``make experiments``) goes on wherever the last call was ended, however it was ended.
"""
