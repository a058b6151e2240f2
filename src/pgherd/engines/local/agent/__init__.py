"""The agent: the one lasting process of the local engine, and what it consists of."""
