"""FID and its companions: what an evaluation measures of a model's samples.

`reference` holds the statistics of the real images, `fid` measures samples against them by the
`frechet` distance of their `moments`, `extras` adds KID, precision and recall. The networks whose
features are compared are in `extractors`.
"""
