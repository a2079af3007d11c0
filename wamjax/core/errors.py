"""What a user is meant to read, and what a scheduler is."""


class UserError(Exception):
    """What was wrong and what to do, in one sentence.

    The command line prints the sentence without a traceback and exits with code 2; nothing has
    been written when it is raised.
    """


class Unfinished(Exception):  # noqa: N818  (nothing went wrong)
    """The run was asked to end, has saved, and has work left: the same command goes on.

    The command line exits with code 75 (EX_TEMPFAIL of sysexits.h), upon which the files of
    `launch/` start it again.
    """
