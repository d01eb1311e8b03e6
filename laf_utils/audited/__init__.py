"""The audit of several methods over training seeds.

``record``   one data set, request and seed: every free measure of every model, as one JSON
``shown``    what the records say over seeds, as tables and sentences
``drawn``    the same as a picture
"""
