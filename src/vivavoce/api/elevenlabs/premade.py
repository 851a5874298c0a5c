"""List the ids of ElevenLabs' premade voices, which clients have as defaults."""

from typing import Final

PREMADE_VOICES: Final = frozenset({
    "21m00Tcm4TlvDq8ikWAM", "29vD33N1CtxCmqQRPOHJ", "2EiwWnXFnvU5JabPnv8n",
    "5Q0t7uMcjvnagumLfvZi", "9BWtsMINqrJLrRacOk9x", "AZnzlk1XvdvUeBnXmlld",
    "CYw3kZ02Hs0563khs1Fj", "CwhRBWXzGAHq8TQ4Fs17", "D38z5RcWu1voky8WS1ja",
    "EXAVITQu4vr4xnSDxMaL", "ErXwobaYiN019PkySvjV", "FGY2WhTYpPnrIDTdsKH5",
    "GBv7mTt0atIp3Br8iCZE", "IKne3meq5aSn9XLyUdCD", "JBFqnCBsd6RMkjVDRZzb",
    "LcfcDJNUP1GQjkzn1xUU", "MF3mGyEYCl7XYWbV9V6O", "N2lVS1w4EtoT3dr4eOWO",
    "ODq5zmih8GrVes37Dizd", "SAz9YHcvj6GT2YYXdXww", "SOYHLrjzK2X1ezoPC6cr",
    "TX3LPaxmHKxFdv7VOQHJ", "ThT5KcBeYPX3keUQqHPh", "TxGEqnHWrfWFTfGW9XjX",
    "VR6AewLTigWG4xSOukaG", "XB0fDUnXU5powFXDhCwa", "Xb7hH8MSUJpSbSDYk0k2",
    "XrExE9yKIg1WjnnlVkGX", "ZQe5CZNOzWyzPSCn5a3c", "bIHbv24MWmeRgasZH58o",
    "bVMeCyTHy58xNoL34h3p", "cgSgspJ2msm6clMCkdW9", "cjVigY5qzO86Huf0OWal",
    "flq6f7yk4E4fJM5XTYuZ", "g5CIjZEefAph4nQFvHAz", "hpp4J3VqNfWAUOO0d1Us",
    "iP95p4xoKVk53GoZ742B", "jBpfuIE2acCO8z3wKNLl", "jsCqWAovK2LkecY7zXl4",
    "nPczCjzI2devNBz1zQrb", "oWAxZDx7w5VEj9dCyTzz", "onwK4e9ZLuTAKqWW03F9",
    "pFZP5JQG7iQjIQuC4Bku", "pMsXgVXv3BLzUgSXRplE", "pNInz6obpgDQGcFmaJgB",
    "piTKgcLEGmPE4e6mEKli", "pqHfZKP75CvOlQylNhV4", "t0jbNlBVZ17f02VDIeMI",
    "wViXBPUzp2ZZixB1xQuM", "yoZ06aMxZJJ28mfd3POQ", "z9fAnlkpzviPz146aGWa",
    "zcAOhNBS3c14rBihAFp1", "zrHiDhphv9ZnVXBqCLjz",
})  # fmt: skip
