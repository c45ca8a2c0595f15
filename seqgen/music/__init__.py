"""Pieces of music, their files and their token encodings."""
