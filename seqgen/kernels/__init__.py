"""Compiled loops: fused recurrent training steps and the decode loop, each with a plain twin in the tests."""
