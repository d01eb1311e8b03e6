"""What all pages share.

``style``     colours, fonts and the figures of ``LAF.ipynb``
``tables``    tables as Markdown and as pandas, and those of ``LAF.ipynb``
``words``     names of rows, numbers with their intervals, verdicts in words
``captions``  what a table rests on: images, epochs, resolution, seeds, machines
``reading``   the records of the comparison, by what they are about, over training seeds
``training_records``  the records of training runs, and the numbers of others
``placing``   words beside marks, put where they lie on nothing
``exhibit``   a table, a figure and sentences in one, as Markdown, CSV and PNG
``execute``   runs a notebook (``make laf``); ``html`` makes its page
"""
