"""Neural networks in torch. They take integers and a config and know nothing of corpora."""
