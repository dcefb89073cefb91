"""What every test shares: no deadlines (the machine may be busy), one thread, and the same examples each time.

`make fuzz` draws others.
"""

import os

from hypothesis import settings

# Tests run on all cores at once: one thread each, told before torch or numpy are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
