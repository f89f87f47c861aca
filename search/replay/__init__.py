"""The policy on recorded or invented curves: hours of training in a fraction of a second.

`recording` reads curves from tables, `replay` runs one policy on them, `comparison` all of them
side by side. `cost` runs a search's own policy on invented results, to say what it will cost.
"""
