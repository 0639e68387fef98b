"""The ticket service of the example: what a company would already have."""
