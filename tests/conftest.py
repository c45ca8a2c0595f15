"""Settings that all tests share."""

import signal

from hypothesis import settings

settings.register_profile("seqgen", deadline=None)  # the first call of a kernel may compile it
settings.load_profile("seqgen")

# Started in the background, pytest ignores Ctrl-C, and commands that tests interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
