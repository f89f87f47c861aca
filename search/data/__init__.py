"""Images: where they come from, how they are decoded, split, kept and drawn in batches.

A data set is a name in a config: ``digits``, ``parquet:FILE``, ``folder:PATH``, ``cifar10``, ...
`load_images` of `sources` reads it once and keeps it in a `cache`; `images` splits it into
training, validation and test images; `batches` draws from them.
"""
