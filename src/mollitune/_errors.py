"""The error that a user of Mollitune can mend."""


class MollituneError(Exception):
    """A problem with what the user asked for or with the world around it, not with the program.

    The message is one line that says what is wrong and how to mend it. The command line shows
    that line without a traceback and exits with code 2. Wrong arguments of a function stay
    ``ValueError`` or ``TypeError``; this class and its subclasses are for files, configs,
    results and clusters.
    """
