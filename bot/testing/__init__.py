"""Testing a bot by stories that say what is right: reading them, playing them, reporting."""
