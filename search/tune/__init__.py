"""All that touches Ray, and only here: no other file imports it.

============= ==========================================================================
`session`     runs a job, a search or a confirmation, to its end
`cluster`     joins a cluster or starts Ray here; what a trial asks of it
`context`     what all trials share: config, images, reference, plans
`trainable`   what runs in a worker: one trial, or several that share its process
`driver`      the one way through Ray: makes events of what Ray tells, for the record
`fold`        brings an event, live or on resume, to all that follows from the record:
              `searcher` (which run is next), `scheduler` (which one stops), `recorder`
              (the tables) and the view; `runs` is a run on its way through them
`loggers`     copies for other tools
`watchdog`    kills processes that hang; `faults` says in a line why a trial failed
`beacon`      what driver and workers tell each other beside Ray's calls
============= ==========================================================================
"""
