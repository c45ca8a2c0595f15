"""Looking inside a trained model: what flows back through time, what cells keep, how tokens lie."""
