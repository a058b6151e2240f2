"""One file per verb: prints, exits, nothing else."""
