"""`python -m pgherd`: the command."""

from pgherd.cli.main import main

if __name__ == "__main__":
    main()
