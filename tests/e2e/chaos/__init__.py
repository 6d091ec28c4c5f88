"""A deployed stack under fire, and under steady load: scripts/chaos and scripts/soak."""
