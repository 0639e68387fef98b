"""Rasa's HTTP API: what `rasa run --enable-api` serves, for the tools and test harnesses that call it.

Reading a tracker and parsing a text are always there; the rest only when the operator wants it (`enable_api`).
"""
