"""Measured claims: one folder a topic, each script a comparison in one run."""
