"""What the chapter notebooks compute and show beyond ``LAF.ipynb``: a look inside each stage of a run.

``shared``      a run with other settings, a measurement of some models
``pretraining`` chapter 1: the forget requests, original and retrained
``densities``   chapter 2: representations, and what the VAEs can and cannot say of them
``traces, adaptation``  chapter 3: the representation of the same images epoch by epoch, and what each loss does
``membership``  chapter 4: the attack row by row, its chance level, its own noise
``drawn_before, drawn_after``  the figures of chapters 1 and 2, and of chapters 3 and 4
"""
