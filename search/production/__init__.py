"""``mollitune train``: a production training with the chosen schedule, resumable.

`command` is the command line, `train` the loop, `settings` what may be set, `folder` what it
leaves behind, `setup` how data, model and metrics come together, `trained` how the model is loaded
afterwards.
"""
