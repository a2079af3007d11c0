"""The one exception a user is meant to read."""


class UserError(Exception):
    """What was wrong and what to do, in one sentence.

    The command line prints the sentence without a traceback and exits with code 2; nothing has
    been written when it is raised.
    """
