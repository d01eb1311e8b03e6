"""The cost model: what a method's work is made of, what each part of it costs on a machine, and what larger settings would cost.

No coefficient is stored: whoever asks fits them anew to the records that are there.
"""
