"""The paper's exhibits, regenerated from records: ``make exhibits``, or ``python -m laf_utils.exhibits``.

``gather``    every record of the comparison, by what it is about, over training seeds
``rests``     what a table rests on: images, epochs, resolution, seeds, machines
``tables``    one table for each data set and task, with the authors' own numbers where they exist
``readings``  sentences under a table, each with its number and interval
``shares``    semi-supervised: with how many labels what comes how near
``ablation``  LAF without one of its parts
``maps``      the representations in two dimensions: the command that makes their records
``mapped``    the figures of those records
``coverage``  which cells of the grid are on record, and which are not
``exhibit``   a table, a figure and sentences in one, as Markdown, CSV and PNG
``every``     all of them in their order
"""
