"""What is asked for, however it is said: settings of a run, checked, from presets, notebooks and command lines."""
