"""Settings that must stand before torch and Ray are imported."""

import os

# The suite runs in two processes on two cores, and Ray's workers must not yield to them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")
