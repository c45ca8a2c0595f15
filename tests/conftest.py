"""Settings that all tests share."""

from hypothesis import settings

settings.register_profile("seqgen", deadline=None)  # the first call of a kernel may compile it
settings.load_profile("seqgen")
