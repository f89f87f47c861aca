"""The networks whose features FID compares, a file each.

`extractor` prepares one by its name; a user's own is a file or a class, see `user`.
"""
