"""Speech to text for titles without subtitles: ``mediafm transcribe``, and ``mediafm_whisper.transcribe`` in Python.

The help of the command line imports this module, so it imports nothing itself.
"""

DEFAULT_MODEL = "openai/whisper-small"
