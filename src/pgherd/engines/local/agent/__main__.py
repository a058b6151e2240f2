"""`python -m pgherd.engines.local.agent ROOT`: leaves an agent behind."""

import sys

from pgherd.engines.local.agent.keeper import main

if __name__ == "__main__":
    main(sys.argv[1])
