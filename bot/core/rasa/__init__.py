"""Shapes that Rasa gives to what a conversation is: pure functions, both ways."""
