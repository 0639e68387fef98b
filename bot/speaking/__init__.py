"""Who speaks: espeak-ng as a child process, Wyoming and OpenAI-compatible servers, one behind the other.

Every speaker gives float32 samples at 16 kHz as they are made. Leaving the generator stops the work at once, which is
what an interrupted caller hears. A text goes in as the bot wrote it; `skills.speakable` turns it into words.
"""

from bot.speaking.opening import check_speaker as check_speaker
from bot.speaking.opening import open_speaker_of as open_speaker_of
