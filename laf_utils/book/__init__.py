"""Everything a reader sees. Nobody imports this wing.

``base``      what all pages share: style, tables, words, captions, reading of records, running a notebook
``chapters``  the notebooks' tables, figures and sentences; a file's prefix is its chapter
``results``   one file for each kind of results page; ``python -m laf_utils.book.results`` writes them all
``costs``     the page of the cost model
"""
