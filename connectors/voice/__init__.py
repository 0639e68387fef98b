"""Calls: one session core (`session`) and the wires that carry it.

Detector, recogniser and speaker are handed in by `bot.voice`; nothing here loads a model.
"""
