"""ITM with DVA."""
