"""The paper's exhibits, drawn from records, one module for each kind of results page; ``every`` has all in their order.

``make exhibits``, or ``python -m laf_utils.book.results``, writes them as files.
"""
