"""seqgen: train small recurrent language models on text and tunes, and sample from them."""

__version__ = "0.1.0"
