"""The package's own error."""

from mollitune._errors import MollituneError


class ScheduleFileError(MollituneError, ValueError):
    """A schedule file cannot be used.

    The message is one line: the file, what is wrong with it, and how to mend it.
    """
