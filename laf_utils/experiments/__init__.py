"""Everything that makes a record: data set, task, method and seed; each cell one record, none made twice.

``python -m laf_utils.experiments`` (``make experiments``) goes on wherever the last call was ended, however it was ended.
"""
