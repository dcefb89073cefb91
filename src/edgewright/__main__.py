"""`python -m edgewright` is the command `edgewright`."""

import sys

from edgewright.cli.main import main

sys.exit(main())
