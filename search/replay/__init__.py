"""The policy on recorded curves: hours of training in a fraction of a second.

`recording` reads curves from tables, `replay` runs one policy on them, `comparison` all of them
side by side.
"""
