"""Custom actions as Rasa projects have them: rasa-sdk's protocol over HTTP, over gRPC, and in this process.

All three send the same request (`calls`) and read the same answer (`answers`), so a project may move from one to
another without a change in what its conversations hold. Nothing here is imported before a project needs it.
"""
