"""Turns of callers with labelled pauses, synthesised: what the end-of-turn head is fitted and measured on.

`sentences.txt` is for fitting; the test set (benchmarks/data/pauses.txt) has other sentences and other voices.
"""
