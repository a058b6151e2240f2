"""pgherd: every PostgreSQL database of a company, in every environment, from one fleet file."""

__version__ = "0.1.0"
