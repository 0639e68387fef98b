"""Understudy: a conversational agent that learns its part from the conversations a team already has."""

__version__ = "0.1.0"
