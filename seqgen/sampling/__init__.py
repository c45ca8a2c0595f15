"""Drawing sequences from a trained model, without torch on a CPU."""
