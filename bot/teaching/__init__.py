"""Teaching a bot by talking to it: correct what it understands and does, keep the talk as a story and as labels."""
