"""The starter recogniser: a small Whisper, trained from nothing on sentences that we write and machines speak.

    python -m training.hearing --data ../shared/data --out hearing

`sentences` makes what is said, `voices` says it, `spoil` makes it sound like calls, `sounds` is what nobody said,
`corpus` keeps the sound, `net` is the model with its loss, `fit` trains it, `score` counts wrong words.
"""
