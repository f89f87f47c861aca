"""FID and its companions: what an evaluation measures of a model's samples.

`reference` holds the statistics of the real images, `fid` measures samples against them by the
`frechet` distance of their `moments`, `extras` are the metrics beside it. The networks whose
features are compared are in `extractors`.
"""
