"""What runs cost: prices, and the bill of a run from its journal."""
