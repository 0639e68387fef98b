"""Why the bot answered as it did in one turn: the causal chain of an answer, from its facts.

`chain` reads the log; `flips` asks `decide` again with one thing changed; `words` finds the words that counted;
`nearest` finds the training examples that are most alike; `explain` joins them, `page` and `telling` show them.
"""
