"""Loads to play: how much databases would use over days and weeks."""
