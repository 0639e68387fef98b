"""Words that tell whether a turn can end with them, in English and German."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OPEN = {
    "en": _words(
        "a an the my your our their no every of at to from for with by about into under near during since until"
        " and or but because if when while than as i we they he she which whose very too quite more really just"
        " i'm it's that's there's i'd i'll we're we'd would rather is are am was were be could"
    ),
    "de": _words(
        "ein eine einen einem einer der die den dem des mein meine meinen meiner dein ihre ihren kein keine von im am"
        " zum zur aus für bei um über unter nach vor seit bis und oder aber weil dass wenn ob als ich wir sehr nur"
        " lautet heißt hätte möchte mit gern ist sind kann können"
    ),
}
"""Words that hardly ever end a turn."""
HALF_OPEN = {
    "en": _words(
        "his her its this these that some any in on over after before so is are was were am be been will could should"
        " can may might must do does did have has had also not don't can't only like want need said told"
    ),
    "de": _words(
        "das es sie er in an auf zu war bin hat habe hatte will muss soll darf würde könnte noch auch"
        " diese dieser dieses gesagt suche brauche"
    ),
}
"""Words that end a turn now and then."""
COUNTS = _words("two three four five six seven eight nine ten twelve zwei drei vier fünf sechs sieben acht neun zehn")
"""Numbers after which the counted thing may come."""
FILLERS = _words("uh um uhm erm er hm ähm äh öhm well also")
WHOLE = _words(
    "yes no yeah nope please thanks thank you bye goodbye hello hi correct right okay ok ja nein bitte"
    " danke genau hallo tschüss"
)
"""Words that make a whole turn, alone or at its end."""
ASKING = _words(
    "what where when who why which how can could do does did is are will would may was wo wann wer wie"
    " warum kann können darf haben ist gibt"
)
"""First words of questions."""
CLAUSE = _words("if when because since while wenn weil falls als da")
"""First words of a clause that needs another one."""
STARTS = frozenset(
    {
        *("i want", "i need", "i have", "i like", "would like", "want to", "need to", "tell me", "let me"),
        *("looking for", "number is", "name is", "address is"),
        *("ich brauche", "ich suche", "nummer ist", "name ist", "hätte gern"),
    }
)
"""Two words after which something has to come."""
