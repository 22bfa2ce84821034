"""ElevenLabs' voices by the names that callers use: OpenAI's names and those of ElevenLabs' own premade voices.

Data of the public registry of pollinations/pollinations, April 2026. A voice that is retired there answers 404.
"""

from __future__ import annotations

from collections.abc import Mapping

VOICES: Mapping[str, str] = {
    "alloy": "21m00Tcm4TlvDq8ikWAM",
    "echo": "29vD33N1CtxCmqQRPOHJ",
    "fable": "EXAVITQu4vr4xnSDxMaL",
    "onyx": "ErXwobaYiN019PkySvjV",
    "nova": "MF3mGyEYCl7XYWbV9V6O",
    "shimmer": "ThT5KcBeYPX3keUQqHPh",
    "ash": "dXtC3XhB9GtPusIpNtQx",
    "ballad": "q0IMILNRPxOgtBTS4taI",
    "coral": "gJx1vCzNCD1EQHT212Ls",
    "sage": "wJqPPQ618aTW29mptyoc",
    "verse": "eXpIbVcVbLo8ZJQDlDnl",
    "rachel": "21m00Tcm4TlvDq8ikWAM",
    "domi": "AZnzlk1XvdvUeBnXmlld",
    "bella": "EXAVITQu4vr4xnSDxMaL",
    "elli": "MF3mGyEYCl7XYWbV9V6O",
    "charlotte": "XB0fDUnXU5powFXDhCwa",
    "dorothy": "ThT5KcBeYPX3keUQqHPh",
    "sarah": "EXAVITQu4vr4xnSDxMaL",
    "emily": "LcfcDJNUP1GQjkzn1xUU",
    "lily": "pFZP5JQG7iQjIQuC4Bku",
    "matilda": "XrExE9yKIg1WjnnlVkGX",
    "adam": "pNInz6obpgDQGcFmaJgB",
    "antoni": "ErXwobaYiN019PkySvjV",
    "arnold": "VR6AewLTigWG4xSOukaG",
    "josh": "TxGEqnHWrfWFTfGW9XjX",
    "sam": "yoZ06aMxZJJ28mfd3POQ",
    "daniel": "onwK4e9ZLuTAKqWW03F9",
    "charlie": "IKne3meq5aSn9XLyUdCD",
    "james": "ZQe5CZNOzWyzPSCn5a3c",
    "fin": "D38z5RcWu1voky8WS1ja",
    "callum": "N2lVS1w4EtoT3dr4eOWO",
    "liam": "TX3LPaxmHKxFdv7VOQHJ",
    "george": "JBFqnCBsd6RMkjVDRZzb",
    "brian": "nPczCjzI2devNBz1zQrb",
    "bill": "pqHfZKP75CvOlQylNhV4",
}
