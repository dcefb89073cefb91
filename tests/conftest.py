"""What every test shares: no deadlines, as the machine that runs the tests may be busy."""

from hypothesis import settings

settings.register_profile("edgewright", deadline=None)
settings.load_profile("edgewright")
