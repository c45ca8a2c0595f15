"""Property tests here import heavy libraries in their first example, so their time means nothing."""

from hypothesis import settings

settings.register_profile("music", deadline=None)
settings.load_profile("music")
