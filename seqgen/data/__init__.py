"""From files to token ids on disk. Nothing here imports torch."""
