"""The command line: reads arguments, calls, prints. Nothing is decided here.

    bot init | ingest | train | chat | serve        make a bot and run it
    bot parse | test | eval | replay | visualize    look at what it does
    bot interactive                                 correct it in a talk
    bot import | export | erase | models | doctor   look after it

Every verb that prints a result takes `--json`. Exit codes: 0 done, 1 the answer is no (a test failed, a candidate was
not promoted, a check found something), 2 something is wrong with the input; the message says what to do.
"""
