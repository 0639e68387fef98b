"""The starter generator: a small Llama-shaped model, trained from nothing on public dialogues by one command.

    python -m training.starter --data ../shared/data --out starter

It words supported content; it is no chatbot. `corpus` reads the files, `pretrain` trains.
"""
