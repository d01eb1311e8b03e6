"""What is asked for, however it is said.

``config``      the settings of a run, checked
``presets``     published settings by data set, task, profile and mode
``parameters``  the names that notebooks and ``make`` take
``changes``     settings as plain values, and changed by dotted names
``names``       what data sets, tasks, models and measures are called
``cli``         ``NAME=VALUE`` on a command line, and errors of one line
"""
