"""The search policy, without Ray: which run comes next, which one stops, and why.

Everything here is a fold over what was measured: the same values in the same order give the same
decisions, whether Ray Tune asks for them, a replay on recorded curves, or a resumed search.
"""
