"""The paper's exhibits, drawn from records: ``make exhibits``, or ``python -m laf_utils.book.results``.

``answer``      does it work? one sentence and one table; ``frontier`` its picture; ``tree`` which method for which request
``tables``      one table for each data set and task, with the authors' own numbers where they exist
``sentences``   what a table says, each with its number and interval
``labels``      semi-supervised: with how many labels what comes how near
``ablation``    LAF without one of its parts; ``relearn_parts`` this project's method at other budgets and without its parts
``maps``        the representations in two dimensions
``requests``    the same comparison over all requests
``coverage``    which cells of the grid are on record
``departures``  where the published method and this book differ
``training_curves``  losses of training runs
``paper_map``   from the paper to records, commands and their time
``every``       all of them in their order
"""
