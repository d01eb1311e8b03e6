"""What readers and reviewers of LAF asked, answered by measurement: chapter 7.

``asked``   the questions and the cells of the grid that answer each
``arms``    the records of a question: each arm beside LAF, by place (data set, request) and training seed
``shown``   its tables; ``drawn`` its figures; ``answers`` two sentences for each, computed from the same records
"""
