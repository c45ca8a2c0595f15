"""Music as values: pieces in exact time, the files they come from and the tokens they become."""
