"""The cost model: what a method's work is made of, what each part of it costs on a machine, and what larger settings would cost.

``work``      image passes, calls of the network, weights touched and VAE steps of a cell, from its record or its settings
``timings``   the records whose seconds count, and the rule that leaves the others out
``fit``       seconds by kind of work, fitted to records; predictions of cells that the fit did not see
``passes``    seconds of a pass measured alone on a device (``benchmarks/passes.py``)
``memory``    bytes kept before a request and added while working; ``request`` what one request costs, method by method
``workloads`` settings that were never run, stage by stage, and what sharing and parallel cells save
``tables``    of the page, with its ``figures`` and ``sentences``

No coefficient is stored: whoever asks fits them anew to the records that are there.
"""
