"""A search, its continuation and its confirmation: prepare, plan, run.

`search` starts one or goes on with it, `confirm` re-trains what it recommends. Both `prepare`
data and extractor, and run a job of `mollitune.search.tune`. `planning` measures each model,
`cost` runs the policy on invented results to say what the search will cost, `proposals` builds
what decides on the runs, `resumed` reads back what an earlier driver has written.
"""
