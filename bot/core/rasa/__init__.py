"""Rasa's words for our facts: the shapes of its events, trackers, domains and messages, in both directions.

Pure, as all of the core. What Rasa's tools and action servers read is made here, and what they send is read here; how
it travels is the business of connectors.
"""

from __future__ import annotations

RASA_VERSION = "3.6.21"
"""The version of Rasa whose protocols we speak."""
