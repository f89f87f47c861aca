"""All that touches Ray, and only here: no other file imports it.

Importing this package sets what Ray reads from the environment, before Ray itself is imported.

============= ==========================================================================
`session`     runs a job, a search or a confirmation, to its end
`cluster`     joins a cluster or starts Ray here; what a trial asks of it
`context`     what all trials share: config, images, reference, plans
`trainable`   what runs in a worker; `carrier` is how a worker takes several trials
`searcher`    hands runs to Ray; `scheduler` hands results to the stopping rule
`recorder`    brings what happened into the tables; `loggers` into other tools
`watchdog`    kills trials that hang; `faults` says in a line why one failed
============= ==========================================================================
"""

from .environment import set_defaults

set_defaults()
