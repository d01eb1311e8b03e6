"""The comparison of methods: one *cell* is one method on one request, and one record in ``results/comparison``.

``settings``   settings as plain values, and changed by dotted names
``memory``     peak memory of one cell, not of the process
``problem``    the request of a data set, task and seed, with the original and the retrained model of ``pipeline.Run``
``variants``   settings of a run that a cell may change: ablations, shares of labels, readers' questions
``distances``  how near a model's representations and answers are to the retrained one's
``again``      the second retrained model
``cell``       a cell, what its record depends on, and its record
``cost``       what a grid of cells will cost, before any of it runs
``spaces``     the search spaces; ``search`` the equal tuning (needs the extra ``tuning``)
``shown``      tables from records; ``drawn`` the picture, ``evidence`` one number for each method, ``live`` makes some on a page

``python -m laf_utils.comparison TASK=class METHOD=scrub,jit`` makes records; those that are there and still valid stay.
"""
