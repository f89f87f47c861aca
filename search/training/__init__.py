"""One trial, alone or stacked with others, to its numbers; no Ray.

`spec` says what is trained and what an evaluation holds, `trial` trains it, `stack` trains many
as one. Both share `gradients`, which run as flat `programs`. `checkpoints` save and restore.
"""
